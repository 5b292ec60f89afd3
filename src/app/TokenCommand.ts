import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { invalidOption } from "../platform/cli/Flags.ts"
import { withHelp } from "../platform/cli/Help.ts"
import { parseDuration } from "../platform/config/Setting.ts"

const ghost = Args.text({ name: "ghost" }).pipe(
  Args.withDescription("The agent's permanent identity: the token's `sub`.")
)

const groups = Options.text("group").pipe(
  Options.withDescription("A `groups` claim, for others to read; only the policy file grants. May be repeated."),
  Options.repeated
)

const timeToLive = Options.text("ttl").pipe(
  Options.withPseudoName("duration"),
  Options.withDescription("How long it is valid, such as 15m or 24h (the default)."),
  Options.withDefault("24h"),
  Options.mapEffect((text) =>
    parseDuration(text).pipe(
      Option.filter((ttl) => Duration.greaterThan(ttl, Duration.zero) && Duration.isFinite(ttl)),
      Effect.mapError(() => invalidOption(`--ttl ${JSON.stringify(text)} is not a duration such as 15m or 24h`))
    )
  )
)

/** Loaded only where a token is made: other commands do not need it. */
const signing = Effect.promise(() => import("../gatekeeper/tokens/Tokens.ts"))

/** `token <ghost>`: prints only the token, so that `$(…)` can use it. */
export const tokenCommand = Command.make("token", { ghost, groups, timeToLive }, ({ ghost, groups, timeToLive }) =>
  Effect.flatMap(signing, ({ Tokens }) =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { token } = yield* tokens.issue(ghost, { groups, timeToLive })
      yield* Console.log(Redacted.value(token))
    }).pipe(Effect.provide(Tokens.layer))
  )
).pipe(
  withHelp("Prints a signed token for a ghost, alone on stdout.", [
    "token Scout",
    "token Scout --ttl 15m",
    'curl -H "Authorization: Bearer $(pnpm -s gravitas token Scout)" http://127.0.0.1:8001/policy'
  ])
)
