import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { parseDuration } from "../platform/config/Setting.ts"

const ghost = Args.text({ name: "ghost" }).pipe(
  Args.withDescription("The agent's permanent identity: the token's `sub`.")
)

const groups = Options.text("group").pipe(
  Options.withDescription("A `groups` claim, for others to read; the policy file alone grants. May be repeated."),
  Options.repeated
)

const timeToLive = Options.text("ttl").pipe(
  Options.withDescription("How long it is valid, such as 15m or 24h (the default)."),
  Options.withDefault("24h"),
  Options.mapEffect((text) =>
    parseDuration(text).pipe(
      Option.filter((ttl) => Duration.greaterThan(ttl, Duration.zero) && Duration.isFinite(ttl)),
      Option.match({
        onNone: () => {
          const problem = `--ttl ${JSON.stringify(text)} is not a duration such as 15m or 24h`
          return Effect.fail(ValidationError.invalidValue(HelpDoc.p(problem)))
        },
        onSome: (ttl) => Effect.succeed(ttl)
      })
    )
  )
)

/** Signing is loaded where a token is made: `migrate`, which shares the command line, needs none of it. */
const signing = Effect.promise(() => import("../gatekeeper/tokens/Tokens.ts"))

/** `token <ghost>`: prints the token alone, so that `$(…)` takes it. */
export const tokenCommand = Command.make("token", { ghost, groups, timeToLive }, ({ ghost, groups, timeToLive }) =>
  Effect.flatMap(signing, ({ Tokens }) =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const token = yield* tokens.issue(ghost, { groups, timeToLive })
      yield* Console.log(Redacted.value(token))
    }).pipe(Effect.provide(Tokens.layer))
  )
).pipe(
  Command.withDescription(
    'Prints a signed token for a ghost, alone on stdout. Example: curl -H "Authorization: Bearer $(pnpm -s gravitas token Scout)" …'
  )
)
