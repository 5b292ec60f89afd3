import { randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { buildKey } from "./Sources.mjs"

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
 * `dist/` needs nothing of the checkout and may be moved. Each build has copies of the packages that cannot be bundled. Every
 * user may read a build, and only its owner may write it, whatever the umask.
 */

/** Builds that stay beside the newest. */
const kept = 2

/** Builds that a start begins, one after another, while the sources change. */
const attempts = 3

/** Age in milliseconds at which a temporary file or folder counts as left over from a process that ended. */
const leftOverAfter = 3_600_000

const keyName = /^[0-9a-f]{16}$/
const temporaryPrefix = ".building-"

/** A start has no build that it may run; the message says what to do. */
export class BuildFailed extends Error {}

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
  const temporary = Path.join(dist, `${temporaryPrefix}${randomUUID()}.mjs`)
  Fs.writeFileSync(temporary, `// Written by pnpm build: starts the newest build.\nawait import("./${key}/main.mjs")\n`)
  Fs.chmodSync(temporary, 0o644)
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
    const aged = Fs.readdirSync(dist).map((name) => ({ name, time: Fs.lstatSync(Path.join(dist, name)).mtimeMs }))
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
 * Fails if another user could have put code into `path`: it must belong to root, to this user or to the owner of the program's
 * sources, and only its owner may write it. A path that does not exist passes.
 *
 * @param {string} path a folder or a file
 * @throws {BuildFailed}
 */
const refuseForeign = (path) => {
  const stats = Fs.statSync(path, { throwIfNoEntry: false })
  const user = process.geteuid?.()
  if (stats === undefined || user === undefined) return
  if (![0, user, Fs.statSync(import.meta.filename).uid].includes(stats.uid)) {
    throw new BuildFailed(`${path} belongs to user ${stats.uid}, who could change it. Remove it, then run pnpm build.`)
  }
  if ((stats.mode & 0o022) !== 0) {
    throw new BuildFailed(
      `${path} can be written by other users. Remove it, or run chmod go-w if you trust its content.`
    )
  }
}

/**
 * @param {string} dist
 * @returns {string} a new folder in `dist`
 */
const temporaryFolder = (dist) => {
  try {
    if (Fs.mkdirSync(dist, { recursive: true, mode: 0o700 }) !== undefined) Fs.chmodSync(dist, 0o755)
    return Fs.mkdtempSync(Path.join(dist, temporaryPrefix))
  } catch (error) {
    const state = startedKey(dist) === undefined ? "There is no build" : "The build is older than the sources"
    throw new BuildFailed(
      `${state}, and ${dist} cannot be written (${codeOf(error)}). Run pnpm build as a user who may write there.`
    )
  }
}

/**
 * Sets the modes of all files below `folder`, which the umask and the modes of the copied files have chosen.
 *
 * @param {string} folder
 */
export const setModes = (folder) => {
  for (const entry of Fs.readdirSync(folder, { withFileTypes: true })) {
    const path = Path.join(folder, entry.name)
    if (entry.isDirectory()) setModes(path)
    else if (entry.isFile()) Fs.chmodSync(path, (Fs.statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
  Fs.chmodSync(folder, 0o755)
}

/**
 * Builds the sources into `dist/<key>`; again if they change meanwhile, since that build may have parts of both versions.
 *
 * @param {string} project
 * @param {string} dist
 * @returns {Promise<string>} the key
 */
const build = async (project, dist) => {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const key = buildKey(project)
    const temporary = temporaryFolder(dist)
    try {
      // esbuild is loaded by a start that builds, not by every start.
      const { bundle } = await import("./Bundle.mjs")
      const failure = await bundle(project, temporary, ["src/main.ts"]).then(
        () => undefined,
        (error) => error
      )
      // Else its process would run for as long as the program does.
      await (await import("esbuild")).stop()
      if (buildKey(project) !== key) continue
      if (failure !== undefined) throw failure
      setModes(temporary)
      try {
        Fs.renameSync(temporary, Path.join(dist, key))
      } catch (error) {
        // Unless another process has built the same first.
        if (!Fs.existsSync(Path.join(dist, key, "main.mjs"))) throw error
      }
      return key
    } finally {
      Fs.rmSync(temporary, { recursive: true, force: true })
    }
  }
  throw new BuildFailed(`The sources changed during each of ${attempts} builds. Start again when they are complete.`)
}

/** @typedef {{ readonly main: string, readonly isNew: boolean, readonly hasSources: boolean }} CurrentBuild */

/**
 * @param {string} project
 * @returns {Promise<CurrentBuild>}
 */
const findOrBuild = async (project) => {
  const dist = Path.join(project, "dist")
  refuseForeign(dist)
  if (!Fs.existsSync(Path.join(project, "src/main.ts"))) {
    const main = Path.join(dist, "main.mjs")
    if (!Fs.existsSync(main))
      throw new BuildFailed(`There is neither a build nor its sources in ${project}. Install it again.`)
    refuseForeign(main)
    refuseForeign(Path.join(dist, startedKey(dist) ?? ""))
    return { main, isNew: false, hasSources: false }
  }
  const needed = buildKey(project)
  const isNew = !Fs.existsSync(Path.join(dist, needed, "main.mjs"))
  const key = isNew ? await build(project, dist) : needed
  refuseForeign(Path.join(dist, key))
  if (startedKey(dist) !== key) {
    try {
      writeStarter(dist, key)
    } catch (error) {
      // The build itself is current: a start needs no more.
      if (isNew) throw error
    }
  }
  if (isNew) removeOld(dist, key)
  return { main: Path.join(dist, key, "main.mjs"), isNew, hasSources: true }
}

/**
 * Builds the program of the checkout `project` unless its build is current; then nothing is written. Where only a build was
 * installed, without sources, it finds that build.
 *
 * @param {string} project
 * @returns {Promise<CurrentBuild>} the file to start, whether this call built it, and whether there are sources that it is the
 *   build of
 * @throws {BuildFailed} when there is no build that may run
 */
export const ensureBuild = (project) =>
  findOrBuild(project).catch((error) => {
    if (error instanceof BuildFailed) throw error
    const advice = codeOf(error) === "ERR_MODULE_NOT_FOUND" ? ". Run pnpm install." : ""
    throw new BuildFailed(`The build failed: ${error instanceof Error ? error.message : error}${advice}`)
  })
