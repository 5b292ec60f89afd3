import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** What a build is made of. The second lock file describes what is installed. */
const parts = [
  "src",
  "migrations",
  "scripts/build",
  "package.json",
  "tsconfig.json",
  "pnpm-lock.yaml",
  "node_modules/.pnpm/lock.yaml"
]

/**
 * Whether an editor wrote this file for itself: a swap file, a lock or a backup.
 *
 * @param {string} path
 */
export const isOfEditor = (path) => /^[.#]|~$/.test(Path.basename(path))

/**
 * @param {string} folder
 * @returns {ReadonlyArray<string>} the files below `folder` in a fixed order; a link counts if it leads to a file
 */
const filesBelow = (folder) =>
  Fs.readdirSync(folder)
    .filter((name) => !isOfEditor(name))
    .sort()
    .flatMap((name) => {
      const path = Path.join(folder, name)
      if (Fs.lstatSync(path).isDirectory()) return filesBelow(path)
      return Fs.statSync(path, { throwIfNoEntry: false })?.isFile() ? [path] : []
    })

/**
 * Returns the key of the build that the sources of `project` need: a hash of all that the build is made of.
 *
 * @param {string} project
 * @returns {string}
 */
export const buildKey = (project) => {
  const hash = createHash("sha256").update(JSON.stringify([process.platform, process.arch]))
  for (const part of parts.map((name) => Path.join(project, name))) {
    const stats = Fs.statSync(part, { throwIfNoEntry: false })
    const files = stats?.isDirectory() ? filesBelow(part) : stats === undefined ? [] : [part]
    for (const file of files) {
      const content = Fs.readFileSync(file)
      hash.update(JSON.stringify([Path.relative(project, file), content.length])).update(content)
    }
  }
  return hash.digest("hex").slice(0, 16)
}
