import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { isServiceIdentity } from "../../domain/Service.ts"
import { parseLifetime } from "../../platform/config/Setting.ts"
import { AccessControl } from "../AccessControl.ts"
import { audited, failureAs, type GatekeeperCaller } from "../GatekeeperAccess.ts"
import { anonymousGhost } from "./BearerToken.ts"
import { TokenSettings, type TokenSettingsValues } from "./TokenSettings.ts"
import { Tokens } from "./Tokens.ts"
import type { VerifiedToken } from "./VerifiedTokens.ts"

/** The life of a token whose request names none. */
const standardLifetime = Duration.minutes(15)

/** What a request asks for, or why it is not valid. Services prove themselves by keys of their own, in development too. */
export const lifetimeOf = (
  {
    ghost_id: ghost,
    valid_for: validFor
  }: { readonly ghost_id: string; readonly valid_for?: string | number | undefined },
  { issuedLifetime, maximumLifetime }: Pick<TokenSettingsValues, "issuedLifetime" | "maximumLifetime">
): Effect.Effect<Duration.Duration, InvalidRequest> => {
  if (ghost === anonymousGhost || isServiceIdentity(ghost)) {
    const reason = `"ghost_id" is ${JSON.stringify(ghost)}, for which no token is made: a service proves itself by its own key`
    return Effect.fail(new InvalidRequest({ reason, field: "ghost_id" }))
  }
  const longest = Duration.min(issuedLifetime, maximumLifetime)
  if (validFor === undefined) return Effect.succeed(Duration.min(standardLifetime, longest))
  return Option.filter(parseLifetime(validFor), Duration.between({ minimum: "1 second", maximum: longest })).pipe(
    Effect.mapError(() => {
      const reason = `"valid_for" must be a duration, or a number of seconds, from 1s to ${Duration.format(longest)} (TOKENS_MAX_LIFETIME)`
      return new InvalidRequest({ reason, field: "valid_for" })
    })
  )
}

/**
 * The life of a token that a caller gets for another ghost. It does not outlive the caller's own token: else one that leaked for a
 * minute could be turned into others without end. The gatekeeper accepts a token for `tolerance` after its `exp`.
 */
export const boundedBy = (
  token: Pick<VerifiedToken, "until"> | undefined,
  lifetime: Duration.Duration,
  tolerance: Duration.Duration,
  now: number
): Duration.Duration => {
  const left = Math.floor((token?.until ?? Number.NEGATIVE_INFINITY) / 1_000) - Math.floor(now / 1_000)
  return Duration.min(lifetime, Duration.seconds(left - Math.ceil(Duration.toSeconds(tolerance))))
}

/** `POST /tokens`. The permission has a row as every decision, and so has the token, or the refusal. */
export const tokenRoutes = Effect.flatMap(
  Effect.all([AccessControl, Tokens, TokenSettings]),
  ([access, tokens, settings]) => {
    const record = (
      { ghostId: by, requestId }: GatekeeperCaller,
      ghost: string,
      outcome: { readonly result: "ALLOWED" | "DENIED"; readonly reason: string; readonly facts?: Facts }
    ) =>
      access
        .record({
          action: "token.issue",
          resource: `tokens/${ghost}`,
          ghostId: by,
          shellId: null,
          requestId,
          ...outcome,
          facts: { ghost_id: ghost, ...outcome.facts }
        })
        .pipe(Effect.mapError(failureAs("audit_unavailable")))

    const refuse = <Code extends "access_denied" | "ghost_stopped" | "signing_unavailable">(
      caller: GatekeeperCaller,
      ghost: string,
      code: Code,
      reason: string
    ) => Effect.zipRight(record(caller, ghost, { result: "DENIED", reason }), Effect.fail({ code, message: reason }))

    const issue = Effect.fnUntraced(function* (
      caller: GatekeeperCaller,
      ghost: string,
      lifetime: Duration.Duration,
      why: string | null
    ) {
      const { ghostId: by, token: own } = caller
      if (by === anonymousGhost) {
        const reason = "with AUTH_DISABLED=true no token is made: it would be valid where callers are authenticated"
        return yield* refuse(caller, ghost, "signing_unavailable", reason)
      }
      const stop = access.stopped(ghost)
      if (stop !== undefined) return yield* refuse(caller, ghost, "ghost_stopped", stop.reason)
      const timeToLive = boundedBy(own, lifetime, settings.clockTolerance, yield* Clock.currentTimeMillis)
      if (Duration.lessThan(timeToLive, Duration.seconds(1))) {
        return yield* refuse(caller, ghost, "access_denied", "your own token ends now: ask again with another one")
      }
      const earlier = own?.acting?.actors.filter((actor) => actor !== by) ?? []
      const issued = yield* Effect.either(tokens.issue(ghost, { groups: [], timeToLive, actors: [by, ...earlier] }))
      if (issued._tag === "Left") return yield* refuse(caller, ghost, "signing_unavailable", issued.left.message)
      const { expiresAt, id, issuedAt, token } = issued.right
      const until = DateTime.formatIso(DateTime.unsafeMake(expiresAt * 1_000))
      const reason = `${by} gets a token for ${ghost} until ${until}${why === null ? "" : `: ${why}`}`
      const auditId = yield* record(caller, ghost, { result: "ALLOWED", reason, facts: { token_id: id } })
      return {
        status: 201,
        body: {
          access_token: Redacted.value(token),
          token_type: "Bearer" as const,
          expires_in: expiresAt - issuedAt,
          ghost_id: ghost,
          token_id: id,
          expires_at: until,
          audit_id: auditId
        }
      }
    })

    return audited(Api.issueToken, {
      event: "token.issue",
      action: "create",
      fallbackResource: "tokens",
      target: ({ payload }) =>
        Effect.map(lifetimeOf(payload, settings), (lifetime) => ({
          resource: `tokens/${payload.ghost_id}`,
          run: (caller: GatekeeperCaller) => issue(caller, payload.ghost_id, lifetime, payload.reason ?? null)
        }))
    })
  }
)
