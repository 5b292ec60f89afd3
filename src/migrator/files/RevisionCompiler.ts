import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { type BuildFailure, build, type Plugin } from "esbuild"
import { revisionLibrary } from "../../platform/config/ProgramLocation.ts"

type Modules = ReadonlyMap<string, unknown>

/** Where compiled revisions find the modules of the build: they are imported from memory, without a folder of their own. */
const registry = Symbol.for("gravitas/revision-library")

/** A module of this project, wherever `migrations/` has been moved to without it. */
const projectModule = /[\\/](src[\\/].+\.ts)$/

const isBare = (specifier: string): boolean => /^[@a-z]/i.test(specifier) && !specifier.includes(":")

/** Marks the plugin's own call of `resolve`. */
const isResolving = Symbol("resolving")

/** The library's key for `specifier`, imported by a file in `folder`. */
const libraryKey = (specifier: string, folder: string): string =>
  projectModule.exec(Path.resolve(folder, specifier))?.[1]?.replaceAll("\\", "/") ?? specifier

/** Resolves imports: the build's modules from the library, packages where Node finds them, other files by bundling them. */
const revisionImports = (modules: Modules): Plugin => ({
  name: "revision-imports",
  setup: ({ onLoad, onResolve, resolve }) => {
    onResolve({ filter: /.*/ }, async ({ kind, path, pluginData, resolveDir }) => {
      if (kind === "entry-point" || pluginData === isResolving) return undefined
      const key = libraryKey(path, resolveDir)
      if (modules.has(key)) return { path: key, namespace: "library" }
      if (!isBare(path)) return undefined
      const found = await resolve(path, { kind, resolveDir, pluginData: isResolving })
      if (found.errors.length > 0) return { errors: found.errors }
      return { path: Path.isAbsolute(found.path) ? pathToFileURL(found.path).href : found.path, external: true }
    })
    onLoad({ filter: /.*/, namespace: "library" }, ({ path }) => ({
      contents: `module.exports = globalThis[Symbol.for(${JSON.stringify(registry.description)})].get(${JSON.stringify(path)})`,
      loader: "js"
    }))
  }
})

/** The first problem in the file, with its line. */
const problemOf = (cause: unknown): unknown => {
  const [first] = isBuildFailure(cause) ? cause.errors : []
  if (first === undefined) return cause
  const { location, text } = first
  return new Error(location === null ? text : `${text}, line ${location.line}`)
}

const isBuildFailure = (cause: unknown): cause is BuildFailure =>
  cause instanceof Error && "errors" in cause && Array.isArray(cause.errors)

const compile = (path: string, url: string, modules: Modules): Promise<string> =>
  build({
    entryPoints: [path],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node20",
    define: {
      "import.meta.url": JSON.stringify(url),
      "import.meta.filename": JSON.stringify(path),
      "import.meta.dirname": JSON.stringify(Path.dirname(path))
    },
    plugins: [revisionImports(modules)],
    logLevel: "silent"
  }).then(
    // The comment is the name of the code in stack traces.
    ({ outputFiles }) => `${outputFiles[0]?.text ?? ""}\n//# sourceURL=${url}\n`,
    (cause) => Promise.reject(problemOf(cause))
  )

/** Compiles a `.ts` revision in memory and imports it. Nothing is written; its checksum stays that of the source. */
export const importRevision = async (path: string): Promise<unknown> => {
  const { modules }: { readonly modules: Modules } = await import(pathToFileURL(revisionLibrary).href)
  Reflect.set(globalThis, registry, modules)
  const url = pathToFileURL(path).href
  const text = await compile(path, url, modules)
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`)
}
