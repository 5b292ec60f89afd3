import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { exitCode, exitMessage } from "../../src/app/ExitStatus.ts"
import { deadLettersCommand } from "../../src/audit/cli/DeadLettersCommand.ts"
import { journalCommand } from "../../src/audit/cli/JournalCommand.ts"
import { trailCommand } from "../../src/audit/cli/TrailCommand.ts"
import { emptyReport, reportUsage } from "../../src/platform/cli/CommandRunner.ts"
import { unambiguous } from "../../src/platform/cli/Flags.ts"
import { Settings } from "../../src/platform/config/Settings.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import { Database } from "../../src/platform/postgres/Database.ts"

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const database = Database.layer(["gatekeeper"])

const commands = Command.make("gravitas").pipe(
  Command.withSubcommands([
    trailCommand(database).pipe(Command.provide(Settings.layer)),
    deadLettersCommand(database).pipe(Command.provide(Settings.layer)),
    journalCommand
  ])
)

const reporting = new Map(["trail", "journal", "dead-letters"].map((name) => [name, emptyReport]))

/**
 * Runs a command of the trail in this process: what a process of its own would print and end with, without the second that
 * starting one costs.
 */
export const auditCommandLine =
  (options: { readonly url: Redacted.Redacted; readonly home: string }) =>
  (...args: ReadonlyArray<string>): Effect.Effect<Said> =>
    Effect.gen(function* () {
      const printed: Array<string> = []
      const console = yield* Effect.console
      const environment = ConfigProvider.fromMap(
        new Map([
          ["DATABASE_URL", Redacted.value(options.url)],
          ["GRAVITAS_HOME", options.home],
          ["DATABASE_CONNECT_DEADLINE", "500ms"]
        ])
      )
      const exit = yield* Command.run(commands, { name: "gravitas", version: "0" })(
        unambiguous(["node", "gravitas", ...args])
      ).pipe(
        reportUsage(args, reporting),
        Console.withConsole({
          ...console,
          log: (...values: ReadonlyArray<unknown>) => Effect.sync(() => void printed.push(values.join(" "))),
          error: () => Effect.void
        }),
        Effect.provide(Layer.setConfigProvider(environment)),
        Effect.provide([NodeContext.layer, Logger.remove(Logger.defaultLogger)]),
        Effect.exit
      )
      return {
        code: exitCode(exit, { signal: "SIGTERM", serving: false, report: ShutdownReport.make() }),
        stdout: printed.map((line) => `${line}\n`).join(""),
        stderr: exitMessage(exit) ?? ""
      }
    })
