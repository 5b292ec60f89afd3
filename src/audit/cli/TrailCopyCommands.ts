import * as Os from "node:os"
import * as Path from "node:path"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { isLongerThan } from "../../domain/Text.ts"
import { type CommandError, confirmed, type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { flag, outputOptions } from "../../platform/cli/Flags.ts"
import { withHelp } from "../../platform/cli/Help.ts"
import { loginName } from "../../platform/cli/LoginName.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { Database } from "../../platform/postgres/Database.ts"
import type { TrailCopy } from "../copies/TrailCopies.ts"

/** Loaded when the command runs, so that other commands start faster. */
const copies = Effect.promise(() => import("../copies/TrailCopies.ts"))

const maximumReason = 500

const reason = Options.text("reason").pipe(
  Options.withDescription("Why; the trail keeps it."),
  Options.mapEffect((text) =>
    text.trim() !== "" && !isLongerThan(text, maximumReason) && !text.includes("\0")
      ? Effect.succeed(text)
      : Effect.fail(
          ValidationError.invalidValue(HelpDoc.p(`--reason must have 1 to ${maximumReason} characters, and no NUL`))
        )
  )
)

const by = Options.text("by").pipe(
  Options.withDescription("The name to record. Default: your login name."),
  Options.optional
)

const yes = flag("yes").pipe(Options.withDescription("Do not ask for confirmation."))

const exitCodes = {
  TrailUnreachable: ExitCode.noAccess,
  NotOwner: ExitCode.noAccess,
  CopyRefused: ExitCode.refused
}

interface CopyOptions extends OutputFlags {
  readonly by: Option.Option<string>
  readonly reason: string
  readonly yes: boolean
}

const toJson = ({ auditId, formerTrail, trail }: TrailCopy) => ({
  trail,
  former_trail: formerTrail,
  audit_id: auditId
})

/** `trail fork` and `trail accept-restore`. `database` contains the gatekeeper's. */
export const trailCopyCommands = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>) => {
  const run = (
    command: "fork" | "accept-restore",
    purpose: "migration" | "application",
    question: string,
    render: (copy: TrailCopy) => string
  ) =>
    Command.make(command, { by, reason, yes, ...outputOptions }, (options: CopyOptions) =>
      runCommand({
        ...options,
        command: `trail ${command}`,
        work: Effect.gen(function* () {
          const { acceptRestore, forkTrail } = yield* copies
          yield* confirmed(options, question)
          const { home } = yield* Settings
          const request = {
            directory: Path.resolve(home, "journal"),
            by: Option.getOrUndefined(options.by) ?? (yield* loginName(Os.userInfo)),
            reason: options.reason
          }
          const work = command === "fork" ? forkTrail : acceptRestore
          return yield* Effect.flatMap(Database, (one) =>
            work({ ...request, url: one.url("gatekeeper", purpose) })
          ).pipe(Effect.provide(database))
        }),
        render,
        toJson,
        exitCodes
      })
    )

  const fork = run(
    "fork",
    "migration",
    "Give the trail of this database an id of its own? Homes of the original then write nothing into it.",
    ({ formerTrail, trail }) =>
      `This copy of the trail ${formerTrail} is the trail ${trail} from now on. Start Gravitas on it with a GRAVITAS_HOME of its own.`
  ).pipe(
    withHelp(
      "Gives a copy of a database a trail id of its own, and records that with the reason. Run it once in a copy that lives on beside " +
        "the original, such as a test system made from a backup, before anything else starts on it. Needs the role that runs the " +
        "migrations. Refuses the database that this home records into.",
      ['trail fork --reason "a copy for the load test"']
    )
  )
  const acceptRestore = run(
    "accept-restore",
    "application",
    "Does this database replace the one that this home has recorded into? Its journals are then written into it.",
    ({ trail }) =>
      `This home records into the trail ${trail} in this database from now on. Start Gravitas: events that wait in its journals are ` +
      "written into it."
  ).pipe(
    withHelp(
      "Says that a database replaces the one that this home has recorded into, after a restore, a move to another server or " +
        "pg_upgrade, and records that with the reason. Until then a start is refused, so that events of the original do not go into a copy.",
      ['trail accept-restore --reason "restored the backup of 03:00, the disk is lost"']
    )
  )
  return [fork, acceptRestore] as const
}
