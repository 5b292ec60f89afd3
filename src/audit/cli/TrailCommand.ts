import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type CommandError, runCommand } from "../../platform/cli/CommandRunner.ts"
import { flag, limitOption, outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded where it is run: other commands, which share the command line, need none of it. */
const modules = Effect.promise(() =>
  Promise.all([import("./TrailStatus.ts"), import("./TrailRendering.ts"), import("./TrailVerdict.ts")])
)

const gaps = flag("gaps").pipe(
  Options.withDescription("Look for each number that a source gave and that has neither a row nor a dead letter.")
)

/** `trail` and its commands. `database` holds the gatekeeper's. */
export const trailCommand = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>) => {
  const status = Command.make(
    "status",
    { gaps, limit: limitOption(20, "of the newest sources"), ...outputOptions },
    ({ gaps, limit, ...given }) =>
      Effect.flatMap(modules, ([{ trailStatus }, { renderTrail, trailJson }, { trailVerdict }]) =>
        runCommand({
          ...given,
          command: "trail status",
          work: trailStatus(database, { gaps, limit }),
          render: renderTrail,
          toJson: trailJson,
          verdict: trailVerdict
        })
      )
  ).pipe(
    Command.withDescription(
      helpOf(
        "Accounts for every event: per life of a process, offered = committed + pending + dead letters + quarantined + " +
          "refused + shed + lost, from the database and the journals, whether a server runs or not. Shows the newest, and each " +
          "with something to look at. Exits with 0 when all is well, 3 when events are lost or unaccounted for, 4 when dead " +
          "letters wait, 9 when the database is away (the journals are shown all the same).",
        ["trail status", "trail status --gaps", "trail status --limit 100 --json"]
      )
    )
  )
  return Command.make("trail").pipe(
    Command.withDescription(
      helpOf("Says where the events of the audit trail are.", ["trail status", "trail status --gaps"])
    ),
    Command.withSubcommands([status])
  )
}
