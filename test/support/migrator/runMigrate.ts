import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { exitCode, exitMessage } from "../../../src/app/ExitStatus.ts"
import { migrateCommand } from "../../../src/migrator/cli/Commands.ts"
import { MigrationsDirectory } from "../../../src/migrator/files/RevisionSet.ts"
import { unambiguous } from "../../../src/platform/cli/Flags.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import * as Logging from "../../../src/platform/telemetry/Logging.ts"
import { migratedServices } from "./Services.ts"

/** The command line of the migrator as a process. MIGRATIONS: another folder of migrations than the shipped one. */
const run = Command.run(migrateCommand(migratedServices, Database.layer), { name: "migrate", version: "0" })(
  unambiguous(process.argv)
)

NodeRuntime.runMain(
  Effect.flatMap(MigrationsDirectory, (shipped) =>
    run.pipe(
      Effect.provide(Logging.layer("stderr")),
      Effect.provide(Settings.layer),
      Effect.provide(NodeContext.layer),
      Effect.provideService(MigrationsDirectory, process.env["MIGRATIONS"] ?? shipped)
    )
  ),
  {
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, end) => {
      process.stderr.write(`${exitMessage(exit) ?? ""}\n`)
      end(exitCode(exit, { signal: "SIGTERM", serving: false, report: ShutdownReport.make() }))
    }
  }
)
