import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { ServiceName } from "../../domain/Service.ts"
import { wrongUsage } from "../../platform/cli/CommandRefused.ts"
import { runForEachService } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { readStatus } from "../apply/Status.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { given, globalOptions } from "./GlobalOptions.ts"
import { checkFiles } from "./OfflineCheck.ts"
import { renderCheck } from "./Rendering.ts"

/** The files, then whether the database stands on them. */
const checkDatabase = Effect.fn("Migrator.checkDatabase")(function* (service: ServiceName) {
  const files = yield* checkFiles(service)
  const { address, problem, revisions } = yield* readStatus(service)
  const pending = revisions.filter(({ state }) => state === "pending").map(({ revision }) => revision)
  return { ...files, address, pending, problem }
})

const db = flag("db").pipe(
  Options.withDescription(
    `Look at the database too: checksums of what is applied, and ${ExitCode.pending} where a revision is pending.`
  )
)

export const checkCommand = Command.make("check", { ...globalOptions, db }, ({ db, ...inner }) =>
  Effect.flatMap(given(inner), (given) => {
    const { json, noColor, services, sql } = given
    if (db) {
      return onDatabase(given, {
        command: "check",
        effects: "reads",
        work: checkDatabase,
        render: renderCheck,
        toJson: ({ problem, ...found }) => ({ ...found, problem: problem === null ? null : problem.message }),
        verdict: ({ pending, problem, service }) =>
          problem ??
          (pending.length === 0
            ? null
            : {
                message: `${service}: pending: ${pending.join(", ")}. To apply: pnpm migrate --service ${service} upgrade`,
                exitCode: ExitCode.pending
              })
      })
    }
    const refusal = sql ? wrongUsage("check has nothing to render; --sql goes with upgrade and downgrade") : null
    return runForEachService(
      { command: "check", services, json, noColor, work: checkFiles, render: renderCheck, refusal },
      identity
    )
  })
).pipe(
  Command.withDescription(
    helpOf(
      "Checks the migration files without a database: names, numbers, markers, downs, syntax by PostgreSQL's own parser.",
      ["migrate check", "migrate check --service router --json", "migrate check --db"]
    )
  )
)
