import * as Os from "node:os"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { AuditLog } from "../../audit/AuditLog.ts"
import { isLongerThan } from "../../domain/Text.ts"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { loginName } from "../../platform/cli/LoginName.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import { textProblem } from "../AccessRequest.ts"

/** Loaded when the command runs: the other commands of the program do not need it. */
const running = Effect.promise(() => import("./GhostRun.ts"))

const ghost = Args.text({ name: "ghost" }).pipe(
  Args.withDescription("The agent's permanent identity: the `sub` of its tokens."),
  Args.mapEffect((name) => {
    const problem = textProblem("ghost_id", name)
    return problem === undefined ? Effect.succeed(name) : Effect.fail(HelpDoc.p(problem))
  })
)

const maximumReason = 500

const reason = Options.text("reason").pipe(
  Options.withDescription("Why; the table and the trail keep it."),
  Options.mapEffect((text) =>
    !isLongerThan(text, maximumReason) && !text.includes("\0")
      ? Effect.succeed(text)
      : Effect.fail(
          ValidationError.invalidValue(HelpDoc.p(`--reason may have ${maximumReason} characters, and no NUL`))
        )
  ),
  Options.optional
)

/** `ghost` and its commands. `database` holds the gatekeeper's, and what `trail` needs. */
export const ghostCommand = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>
) => {
  const command = (effect: "stop" | "resume", description: string, example: string) =>
    Command.make(effect, { ghost, reason, ...outputOptions }, (given) =>
      Effect.flatMap(Effect.all([running, loginName(Os.userInfo)]), ([{ runGhost }, by]) =>
        runGhost(database, trail, { ...given, effect, by })
      )
    ).pipe(Command.withDescription(helpOf(description, [example])))
  const stop = command(
    "stop",
    "Stops a ghost: its tokens are refused, its certificates are revoked, its sessions and answers in flight end, everywhere within " +
      "5 seconds. Needs PostgreSQL; while that is away, POST /ghosts/<ghost>/stop of the gatekeeper works.",
    "ghost stop Scout --reason 'its token leaked'"
  )
  const resume = command(
    "resume",
    "Resumes a ghost: tokens and certificates that were issued after the stop are accepted; earlier ones stay refused.",
    "ghost resume Scout"
  )
  return Command.make("ghost").pipe(
    Command.withDescription(helpOf("Stops and resumes a ghost.", ["ghost stop Scout", "ghost resume Scout"])),
    Command.withSubcommands([stop, resume])
  )
}
