import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Schema from "effect/Schema"

const file = fileURLToPath(import.meta.url)

/** Whether this is a build and not its TypeScript sources. */
export const isBuilt = !file.endsWith(".ts")

const folderAbove = (path: string): string => {
  const folder = Path.dirname(path)
  if (folder === path) throw new Error(`no package.json in any folder above ${file}`)
  return existsSync(Path.join(folder, "package.json")) ? folder : folderAbove(folder)
}

/** The nearest folder above this module with a package.json: the checkout for the sources, `dist/<key>` for a build. */
const moduleFolder = folderAbove(file)

/** What Node was started with: `src/main.ts`, `dist/main.mjs`, or `scripts/build/run.mjs`. */
const started = process.argv[1] ?? ""

const runFile = /^(.*)[\\/]scripts[\\/]build[\\/]run\.mjs$/.exec(started)

/** Whether `scripts/build/run.mjs` started this build: it has seen that the checkout's sources are those of the build. */
const isRun = isBuilt && runFile !== null

/**
 * The folder of package.json and `migrations/`. A build has copies of both, so it runs wherever it is moved to and never
 * applies a revision that came after it. Started by `scripts/build/run.mjs` it uses the checkout's, which are the same:
 * messages then name files that a person edits, and `migrate new` writes there.
 */
export const programFolder = isRun ? (runFile[1] ?? moduleFolder) : moduleFolder

/** The code that a build gives to `.ts` revisions. */
export const revisionLibrary = Path.join(moduleFolder, "revision-library.mjs")

/** Whether `migrate new` may write to `migrations/` of the program folder: not into a build. */
export const hasSources = !isBuilt || isRun

/** The words that start this program again from a shell: the runner, then the program. */
export const startWords: readonly [runner: string, program: string] = isBuilt
  ? [process.execPath, started]
  : [Path.join(moduleFolder, "node_modules/.bin/tsx"), Path.join(moduleFolder, "src/main.ts")]

const manifest: unknown = createRequire(import.meta.url)(Path.join(programFolder, "package.json"))

/** Of package.json. */
export const appVersion: string = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))(manifest).version
