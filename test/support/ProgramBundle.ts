import * as Path from "node:path"
import * as Effect from "effect/Effect"
import { bundle } from "../../scripts/build/Bundle.mjs"
import { temporaryHome } from "./TemporaryHome.ts"

const project = Path.resolve(import.meta.dirname, "../..")

/** The program, and those of the tests that do one thing of it; by their names each is a file in the bundle. */
const programs = [
  "src/main.ts",
  "test/support/RemoteRecorder.ts",
  "test/embedded-postgres/fixtures/embedded.ts",
  "test/platform/os/fixtures/useHome.ts",
  "test/audit/journal/appender.ts",
  "test/support/migrator/startService.ts",
  "test/support/migrator/runMigrate.ts",
  "test/support/migrator/starter.ts",
  "test/app/fixtures/hanging.ts"
]

/**
 * Builds the programs of this checkout in `directory`, as `pnpm build` does.
 *
 * The tests start them hundreds of times. A start from the sources takes ten times the processor time, for finding and
 * compiling a thousand modules; tests of their own start the program from its sources.
 */
export const bundlePrograms = (directory: string): Promise<unknown> => bundle(project, directory, programs)

/** Builds one program as `pnpm build` does, in a folder that the scope's end removes; returns the path of its file. */
export const bundledProgram = (program: string) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    yield* Effect.promise(() => bundle(project, directory, [program]))
    return Path.join(directory, `${Path.basename(program, ".ts")}.mjs`)
  })
