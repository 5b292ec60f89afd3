import * as Path from "node:path"
import { bundle } from "../../scripts/build/Bundle.mjs"

const project = Path.resolve(import.meta.dirname, "../..")

/** The program, and those of the tests that do one thing of it; by their names each is a file in the bundle. */
const programs = [
  "src/main.ts",
  "test/support/RemoteRecorder.ts",
  "test/embedded-postgres/fixtures/embedded.ts",
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
export const bundlePrograms = (directory: string): Promise<void> => bundle(project, directory, programs)
