import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { stop } from "esbuild"
import { releaseName, writeFolder, writeTarball } from "./Release.ts"

/*
 * `pnpm release` writes release/<name>.tar.gz, its SHA-256 sum and the unpacked folder. `--folder <path>` writes that folder alone, as a
 * container's build does. Times are those of the commit, or of SOURCE_DATE_EPOCH where there is no repository.
 */

const project = Path.resolve(import.meta.dirname, "../..")

class Refused extends Error {}

const git = (...words: ReadonlyArray<string>): string =>
  execFileSync("git", words, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()

const commitTime = (): string => {
  const given = process.env["SOURCE_DATE_EPOCH"] ?? ""
  try {
    return given === "" ? git("log", "-1", "--format=%ct") : given
  } catch {
    throw new Refused("there is no commit here to take the time from: set SOURCE_DATE_EPOCH to seconds since 1970")
  }
}

const dateOf = (seconds: string): Date => {
  if (!/^\d{1,11}$/.test(seconds)) throw new Refused(`SOURCE_DATE_EPOCH must be seconds since 1970, got ${seconds}`)
  return new Date(Number(seconds) * 1_000)
}

/** A tarball carries the name of a version, so it must be what the commit says. */
const requireCommitted = (): void => {
  const changed = git("status", "--porcelain")
  if (changed !== "") throw new Refused(`these files differ from the commit:\n${changed}\nCommit or remove them first.`)
}

const emptyFolder = (path: string): string => {
  if (Fs.existsSync(path) && Fs.readdirSync(path).length > 0) throw new Refused(`${path} is not empty`)
  Fs.mkdirSync(path, { recursive: true })
  return path
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options: { folder: { type: "string" } } })
  const date = dateOf(commitTime())
  if (values.folder !== undefined) return writeFolder(project, emptyFolder(Path.resolve(values.folder)), date)
  requireCommitted()
  const name = releaseName(project)
  const parent = Path.join(project, "release")
  Fs.rmSync(Path.join(parent, name), { recursive: true, force: true })
  await writeFolder(project, emptyFolder(Path.join(parent, name)), date)
  const tarball = writeTarball(parent, name, date)
  console.log(Fs.readFileSync(`${tarball}.sha256`, "utf8").trim())
}

try {
  await main()
} catch (error) {
  if (!(error instanceof Refused)) throw error
  console.error(`release: ${error.message}`)
  process.exitCode = 1
} finally {
  await stop()
}
