import * as CliCommand from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { exitCode, exitMessage } from "../../../src/app/ExitStatus.ts"
import { migrateCommand } from "../../../src/migrator/cli/Commands.ts"
import { MigrationsDirectory } from "../../../src/migrator/files/RevisionSet.ts"
import { ScratchServer } from "../../../src/migrator/inspect/ScratchDatabase.ts"
import { emptyServicesReport, reportUsage } from "../../../src/platform/cli/CommandRunner.ts"
import { unambiguous } from "../../../src/platform/cli/Flags.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { quiet } from "./Fixture.ts"
import type { Ended } from "./Processes.ts"
import { migratedServices } from "./Services.ts"

/**
 * Runs a `migrate` command line in this process: what a process of its own would print and end with, without the seconds that
 * starting one costs.
 */
export const commandLine =
  (options: {
    readonly url: Redacted.Redacted
    readonly migrations?: string
    readonly environment?: Readonly<Record<string, string>>
    /** A server for what must not touch that of `url`; none by default. */
    readonly scratchServer?: Option.Option.Value<ScratchServer["Type"]>
  }) =>
  (...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
    Effect.gen(function* () {
      const printed: Array<string> = []
      const console = yield* Effect.console
      const shipped = yield* MigrationsDirectory
      const environment = ConfigProvider.fromMap(
        new Map([
          ["DATABASE_URL", Redacted.value(options.url)],
          ["DATABASE_CONNECT_DEADLINE", "1s"],
          ...Object.entries(options.environment ?? {})
        ])
      )
      const exit = yield* CliCommand.run(migrateCommand(migratedServices, Database.layer), {
        name: "migrate",
        version: "0"
      })(unambiguous(["node", "migrate", ...args])).pipe(
        reportUsage(["migrate", ...args], new Map([["migrate", emptyServicesReport]])),
        Console.withConsole({
          ...console,
          log: (...values: ReadonlyArray<unknown>) => Effect.sync(() => void printed.push(values.join(" "))),
          error: () => Effect.void
        }),
        Effect.provide(Settings.layer),
        Effect.provide(Layer.setConfigProvider(environment)),
        Effect.provide([NodeContext.layer, quiet]),
        Effect.provideService(MigrationsDirectory, options.migrations ?? shipped),
        Effect.provideService(ScratchServer, Option.fromNullable(options.scratchServer)),
        Effect.exit
      )
      return {
        code: exitCode(exit, { signal: "SIGTERM", serving: false, report: ShutdownReport.make() }),
        stdout: printed.map((line) => `${line}\n`).join(""),
        stderr: exitMessage(exit) ?? ""
      }
    })
