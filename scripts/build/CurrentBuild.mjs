import { createHash, randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * The build of the program, in `dist/` of the checkout:
 *
 *     dist/main.mjs        starts the newest build
 *     dist/<key>/          one build; never changed once it is there
 *
 * `key` is a hash of all that a build is made of, so a start finds out by reading the sources whether it has to build. A build
 * is written to a temporary folder in `dist/` and renamed. Of two builds of one key at once the first rename wins, and the other
 * process uses that build. The builds before stay until two newer ones exist: a running program loads parts of its own later.
 *
 * `dist/` needs nothing of the checkout and may be moved. Each build has copies of the packages that cannot be bundled.
 */

/** What a build is made of. */
const parts = ["src", "migrations", "scripts/build", "package.json", "pnpm-lock.yaml"]

/** Builds that stay beside the newest. */
const kept = 2

/** Age in milliseconds at which the temporary folder of a build counts as left over from a process that ended. */
const leftOverAfter = 3_600_000

const keyLength = 16
const keyName = new RegExp(`^[0-9a-f]{${keyLength}}$`)
const temporaryPrefix = ".building-"

/** No build can be made; the message says what to do. */
export class BuildFailed extends Error {}

/**
 * @param {string} path
 * @returns {ReadonlyArray<string>} the files at or below `path`, in a fixed order
 */
const filesBelow = (path) =>
  Fs.statSync(path).isDirectory()
    ? Fs.readdirSync(path)
        .sort()
        .flatMap((name) => filesBelow(Path.join(path, name)))
    : [path]

/**
 * The key of the build that the sources of `project` need; undefined when it has no sources, as where only a build was
 * installed.
 *
 * @param {string} project
 * @returns {string | undefined}
 */
export const buildKey = (project) => {
  if (!Fs.existsSync(Path.join(project, "src/main.ts"))) return undefined
  const hash = createHash("sha256").update(JSON.stringify([process.platform, process.arch]))
  for (const part of parts) {
    for (const file of filesBelow(Path.join(project, part))) {
      const content = Fs.readFileSync(file)
      hash.update(JSON.stringify([Path.relative(project, file), content.length])).update(content)
    }
  }
  return hash.digest("hex").slice(0, keyLength)
}

/** @param {string} key */
const starter = (key) => `// Written by pnpm build: starts the newest build.\nawait import("./${key}/main.mjs")\n`

/**
 * @param {string} dist
 * @returns {string | undefined} the key of the build that `dist/main.mjs` starts
 */
const startedKey = (dist) => {
  try {
    return /"\.\/([0-9a-f]+)\/main\.mjs"/.exec(Fs.readFileSync(Path.join(dist, "main.mjs"), "utf8"))?.[1]
  } catch {
    return undefined
  }
}

/**
 * Makes `dist/main.mjs` start the build `key`. A rename, so that no process reads half of it.
 *
 * @param {string} dist
 * @param {string} key
 */
const writeStarter = (dist, key) => {
  const temporary = Path.join(dist, `.main-${randomUUID()}.mjs`)
  Fs.writeFileSync(temporary, starter(key))
  Fs.renameSync(temporary, Path.join(dist, "main.mjs"))
}

/**
 * Removes old builds, and temporary folders of processes that were killed. A failure is left to the next build.
 *
 * @param {string} dist
 * @param {string} key the build in use
 */
const removeOld = (dist, key) => {
  /** @param {string} name */
  const remove = (name) => Fs.rmSync(Path.join(dist, name), { recursive: true, force: true })
  try {
    const aged = Fs.readdirSync(dist).map((name) => ({ name, time: Fs.statSync(Path.join(dist, name)).mtimeMs }))
    const builds = aged.filter(({ name }) => keyName.test(name) && name !== key).sort((a, b) => b.time - a.time)
    for (const { name } of builds.slice(kept)) remove(name)
    for (const { name, time } of aged) {
      if (name.startsWith(temporaryPrefix) && Date.now() - time > leftOverAfter) remove(name)
    }
  } catch {
    // Another process removes the same.
  }
}

/** @param {unknown} error */
const codeOf = (error) => (error instanceof Error && "code" in error ? String(error.code) : "")

/**
 * @param {string} dist
 * @returns {string} a new folder in `dist`
 */
const temporaryFolder = (dist) => {
  try {
    Fs.mkdirSync(dist, { recursive: true })
    return Fs.mkdtempSync(Path.join(dist, temporaryPrefix))
  } catch (error) {
    const state = startedKey(dist) === undefined ? "There is no build" : "The build is older than the sources"
    throw new BuildFailed(
      `${state}, and ${dist} cannot be written (${codeOf(error)}). Run pnpm build as a user who may write there.`
    )
  }
}

/**
 * @param {string} project
 * @param {string} dist
 * @param {string} key
 * @returns {Promise<void>}
 */
const build = async (project, dist, key) => {
  const temporary = temporaryFolder(dist)
  try {
    // esbuild is loaded by a start that builds, not by every start.
    const { bundle } = await import("./Bundle.mjs")
    await bundle(project, temporary, ["src/main.ts"])
    Fs.chmodSync(temporary, 0o755)
    try {
      Fs.renameSync(temporary, Path.join(dist, key))
    } catch (error) {
      // Another process has built the same first.
      if (!["EEXIST", "ENOTEMPTY", "EPERM"].includes(codeOf(error)) || !Fs.existsSync(Path.join(dist, key))) throw error
    }
  } finally {
    Fs.rmSync(temporary, { recursive: true, force: true })
  }
}

/**
 * Builds the program of the checkout `project` unless its build is current; then nothing is written.
 *
 * @param {string} project
 * @returns {Promise<{ readonly main: string, readonly isNew: boolean, readonly hasSources: boolean }>} the file to start,
 *   whether this call built it, and whether there are sources that it is the build of
 * @throws {BuildFailed} when a build is needed and `dist/` cannot be written
 */
export const ensureBuild = async (project) => {
  const dist = Path.join(project, "dist")
  const key = buildKey(project)
  if (key === undefined) return { main: Path.join(dist, "main.mjs"), isNew: false, hasSources: false }
  const main = Path.join(dist, key, "main.mjs")
  const isNew = !Fs.existsSync(main)
  if (isNew) await build(project, dist, key)
  if (startedKey(dist) !== key) {
    try {
      writeStarter(dist, key)
    } catch (error) {
      // The build itself is current: a start needs no more.
      if (isNew) throw error
    }
  }
  if (isNew) removeOld(dist, key)
  return { main, isNew, hasSources: true }
}
