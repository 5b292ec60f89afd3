import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { create } from "tar"
import { bundle } from "../build/Bundle.mjs"
import { setModes } from "../build/CurrentBuild.mjs"
import { licenceTexts } from "./Licences.ts"
import { manifestIn, neededBy, runtimePackages } from "./RuntimePackage.ts"
import { sbomOf } from "./Sbom.ts"

/*
 * A release: a folder, and a tarball of it, that need Node alone. The same commit, platform and version of Node make the same bytes:
 * entries are sorted, belong to no user, and have the time of the commit.
 */

/** What the folder has of the checkout beside the build. */
const copied = [
  ".env.example",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "README.md",
  "SECURITY.md",
  "config",
  "deploy",
  "docs",
  "examples"
]

/** Where an operator keeps the secrets of deploy/compose. */
const privateFiles = Path.join("deploy", "compose", "private")

const sums = "SHA256SUMS"

/** `bin/gravitas`: the services and all commands. A supervisor runs `node` itself, as deploy/systemd does. */
const starter = `#!/bin/sh
exec node --max-semi-space-size=64 "$(dirname "$(readlink -f "$0")")/../dist/main.mjs" "$@"
`

const filesBelow = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => Path.relative(folder, Path.join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .toSorted()

/** In the format of `sha256sum`, which `sha256sum -c` checks. */
const sumLine = (folder: string, name: string): string =>
  `${createHash("sha256")
    .update(Fs.readFileSync(Path.join(folder, name)))
    .digest("hex")}  ${name}\n`

/** Copies what a release has of the checkout beside the build, without an operator's secrets. */
export const copyFiles = (project: string, target: string): void => {
  const isPublic = (path: string): boolean =>
    Path.basename(path) !== ".env" && Path.relative(project, path) !== privateFiles
  for (const name of copied) {
    Fs.cpSync(Path.join(project, name), Path.join(target, name), { recursive: true, filter: isPublic })
  }
}

/**
 * Writes the release of the checkout `project` into the empty folder `target`.
 *
 * @param date the time of the commit
 */
export const writeFolder = async (project: string, target: string, date: Date): Promise<void> => {
  const write = (name: string, text: string): void => Fs.writeFileSync(Path.join(target, name), text)
  const dist = Path.join(target, "dist")
  for (const folder of [dist, Path.join(target, "bin")]) Fs.mkdirSync(folder, { recursive: true })
  // PostgreSQL's binaries are three times as large as all of the rest, and production refuses the embedded one.
  const folders = await bundle(project, dist, ["src/main.ts"], { withPostgres: false })
  copyFiles(project, target)
  const packages = await runtimePackages(folders)
  const manifest = manifestIn(project)
  const needs = await neededBy(project, manifest)
  write("sbom.cdx.json", sbomOf({ manifest, needs, date }, packages))
  write("LICENCES.txt", licenceTexts(packages))
  write("bin/gravitas", starter)
  Fs.chmodSync(Path.join(target, "bin/gravitas"), 0o755)
  write(
    sums,
    filesBelow(target)
      .map((name) => sumLine(target, name))
      .join("")
  )
  setModes(target)
}

/** The name of a release of this platform, without suffix: `gravitas-0.1.0-linux-x64`. The build has binaries of the platform. */
export const releaseName = (project: string): string =>
  `gravitas-${manifestIn(project).version}-${process.platform}-${process.arch}`

/** Writes `<name>.tar.gz` of the folder `<parent>/<name>`, and `<name>.tar.gz.sha256` beside it. Returns the tarball's path. */
export const writeTarball = (parent: string, name: string, date: Date): string => {
  const tarball = `${name}.tar.gz`
  const entries = filesBelow(Path.join(parent, name)).map((file) => `${name}/${file}`)
  create(
    {
      cwd: parent,
      file: Path.join(parent, tarball),
      // No names, owners, inodes, and times other than mtime; for gzip, the same header on all systems.
      portable: true,
      gzip: { level: 9, portable: true },
      mtime: date,
      noDirRecurse: true,
      sync: true
    },
    [...entries]
  )
  Fs.writeFileSync(Path.join(parent, `${tarball}.sha256`), sumLine(parent, tarball))
  return Path.join(parent, tarball)
}
