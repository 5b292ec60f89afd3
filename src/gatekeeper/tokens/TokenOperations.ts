import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Stops } from "../../clients/Stops.ts"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { isServiceIdentity } from "../../domain/Service.ts"
import { describeStop, ghostStop, type StopList, type TokenCredential, tokenStop } from "../../domain/Stops.ts"
import { parseLifetime } from "../../platform/config/Setting.ts"
import { AccessControl } from "../AccessControl.ts"
import { audited, failureAs, type GatekeeperCaller } from "../GatekeeperAccess.ts"
import { anonymousGhost } from "./BearerToken.ts"
import { TokenSettings, type TokenSettingsValues } from "./TokenSettings.ts"
import { Tokens } from "./Tokens.ts"
import type { VerifiedToken } from "./VerifiedTokens.ts"

/** The life of a token whose request names none. */
const standardLifetime = Duration.minutes(15)

/** A caller whose own token came from so many others gets none: each token carries the ids of all that it came from. */
const longestChain = 8

/** Refuses the names that no token may have. Services prove themselves by keys of their own, in development too. */
const checkGhost = (ghost: string): Effect.Effect<void, InvalidRequest> => {
  const isService = isServiceIdentity(ghost)
  if (!isService && ghost !== anonymousGhost) return Effect.void
  const why = isService ? "a service, which proves itself by its own key" : "the ghost of AUTH_DISABLED=true"
  const reason = `"ghost_id" is ${JSON.stringify(ghost)}, for which no token is made: it is ${why}`
  return Effect.fail(new InvalidRequest({ reason, field: "ghost_id" }))
}

/** Returns the life that a request asks for by `valid_for`, or why it is not valid. */
export const lifetimeOf = (
  validFor: string | number | undefined,
  { issuedLifetime, maximumLifetime }: Pick<TokenSettingsValues, "issuedLifetime" | "maximumLifetime">
): Effect.Effect<Duration.Duration, InvalidRequest> => {
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

/** A token of `by` for `ghost`, and the caller's own token. */
interface IssuedFor {
  readonly ghost: string
  readonly by: string
  readonly own: TokenCredential
  readonly made: TokenCredential
}

/**
 * Returns why a token that was just signed is not given: a stop covers it, or covers the caller's own token since the permission. After a
 * resume that is so until the token's `iat` is later than the stop; `tolerance` is in milliseconds.
 */
export const stopRefusal = (
  list: StopList,
  { by, ghost, made, own }: IssuedFor,
  tolerance: number
): { readonly code: "access_denied" | "ghost_stopped"; readonly message: string } | undefined => {
  const stop = tokenStop(list, ghost, made, tolerance) ?? tokenStop(list, by, own, tolerance)
  if (stop === undefined) return undefined
  if (stop.kind !== "ghost" || stop.subject !== ghost) {
    return { code: "access_denied", message: `your own token is not valid any more: ${describeStop(stop)}` }
  }
  if (ghostStop(list, ghost) !== undefined) return { code: "ghost_stopped", message: describeStop(stop) }
  // `iat` has whole seconds.
  const first = (Math.floor((stop.at + tolerance) / 1_000) + 1) * 1_000
  const message = `${describeStop(stop)}, and no token from before ${new Date(first).toISOString()} is valid: ask again then`
  return { code: "ghost_stopped", message }
}

/** The `jti` of each token that a token made with `own` comes from, the last one first. */
const chainOf = (own: VerifiedToken | undefined): ReadonlyArray<string> => [
  ...(own?.id === undefined ? [] : [own.id]),
  ...(own?.originIds ?? [])
]

/** The rows of tokens, and of refusals. The failure of `refuse` names its row. */
const makeRows = (access: typeof AccessControl.Service) => {
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
  ) =>
    Effect.flatMap(record(caller, ghost, { result: "DENIED", reason }), (auditId) =>
      Effect.fail({ code, message: reason, auditId })
    )

  return { record, refuse }
}

/** Makes, records and returns a token for a ghost, or records why there is none. */
const makeIssue = (
  access: typeof AccessControl.Service,
  tokens: typeof Tokens.Service,
  settings: TokenSettingsValues,
  stops: typeof Stops.Service
) => {
  const { record, refuse } = makeRows(access)
  const tolerance = Duration.toMillis(settings.clockTolerance)

  return Effect.fnUntraced(function* (
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
    const timeToLive = boundedBy(own, lifetime, settings.clockTolerance, yield* Clock.currentTimeMillis)
    if (Duration.lessThan(timeToLive, Duration.seconds(1))) {
      return yield* refuse(caller, ghost, "access_denied", "your own token ends now: ask again with another one")
    }
    const originIds = chainOf(own)
    if (originIds.length > longestChain) {
      const reason = `your own token comes from ${longestChain} others, one made by the other: ask with an earlier one`
      return yield* refuse(caller, ghost, "access_denied", reason)
    }
    const earlier = own?.acting?.actors.filter((actor) => actor !== by) ?? []
    const actors = [by, ...earlier] as const
    const issued = yield* Effect.either(tokens.issue(ghost, { groups: [], timeToLive, actors, originIds }))
    if (issued._tag === "Left") return yield* refuse(caller, ghost, "signing_unavailable", issued.left.message)
    const { expiresAt, id, issuedAt, token } = issued.right
    const acting = { actors, issuedAt: issuedAt * 1_000 }
    const made = { id, issuedAt: issuedAt * 1_000, originIds, acting }
    // After the signature, so that no stop is missed between its `iat` and this: a later stop covers the token by its time.
    const stopped = stopRefusal(
      stops.list(),
      { by, ghost, made, own: own ?? { id: undefined, issuedAt: undefined } },
      tolerance
    )
    if (stopped !== undefined) return yield* refuse(caller, ghost, stopped.code, stopped.message)
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
}

/** `POST /tokens`. The permission has a row as every decision, and so has the token, or the refusal. */
export const tokenRoutes = Effect.flatMap(
  Effect.all([AccessControl, Tokens, TokenSettings, Stops]),
  ([access, tokens, settings, stops]) => {
    const issue = makeIssue(access, tokens, settings, stops)
    return audited(Api.issueToken, {
      event: "token.issue",
      action: "create",
      fallbackResource: "tokens",
      target: ({ payload }) =>
        Effect.map(
          Effect.zipRight(checkGhost(payload.ghost_id), lifetimeOf(payload.valid_for, settings)),
          (lifetime) => ({
            resource: `tokens/${payload.ghost_id}`,
            run: (caller: GatekeeperCaller) => issue(caller, payload.ghost_id, lifetime, payload.reason ?? null)
          })
        )
    })
  }
)
