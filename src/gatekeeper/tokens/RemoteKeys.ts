import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type CryptoKey, errors, type JWTHeaderParameters } from "jose"
import { fetchKeys, type IssuerKeys, type Jwks, KeysUnavailable } from "./KeyFetch.ts"

/** The issuer has no key, or more than one, of the token's `kid` and `alg`. */
export class KeyUnknown extends Schema.TaggedError<KeyUnknown>()("KeyUnknown", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** The public keys of an issuer (RFC 7517), fetched over HTTP. */
export interface RemoteKeys {
  /** The one key that fits a token's header. Fetches the keys where they are not there, too old, or do not have it. */
  readonly keyFor: (header: JWTHeaderParameters) => Effect.Effect<CryptoKey, KeyUnknown | KeysUnavailable>
  /** Rises whenever the keys change. */
  readonly generation: () => number
  /** Milliseconds since the epoch: until when the keys are believed without being fetched again. */
  readonly believedUntil: () => number
}

/** How soon a fetch that failed is tried again because a request needs the keys. */
const failurePause = 1_000

/** Fetches the keys at once, in the background, and again at each interval, until the scope ends. */
export const remoteKeys = (jwks: Jwks): Effect.Effect<RemoteKeys, never, Scope.Scope> =>
  Effect.gen(function* () {
    const turn = yield* Effect.makeSemaphore(1)
    let keys: (IssuerKeys & { readonly fetchedAt: number }) | undefined
    let failure: string | undefined
    /** The end of the last fetch: whoever waited for one that took long must not begin another. */
    let attemptedAt = Number.NEGATIVE_INFINITY
    let generation = 0

    const isBelieved = (now: number): boolean =>
      keys !== undefined && now < keys.fetchedAt + Duration.toMillis(jwks.maxAge)

    const fetchNow = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const fetched = yield* Effect.either(fetchKeys(jwks))
      attemptedAt = yield* Clock.currentTimeMillis
      if (fetched._tag === "Left") {
        const { reason } = fetched.left
        if (failure !== reason)
          yield* Effect.logWarning(`Signing keys cannot be fetched from ${jwks.url.origin}: ${reason}`)
        failure = reason
        return
      }
      const isNew = keys?.text !== fetched.right.text
      if (isNew) generation += 1
      if (isNew || failure !== undefined) yield* Effect.logInfo(`Signing keys fetched from ${jwks.url.origin}.`)
      failure = undefined
      keys = { ...fetched.right, fetchedAt: now }
    })

    /** Whoever waited for another's fetch finds it done; a client that hangs up does not take it from the others. */
    const fetchUnlessWithin = (pause: number) =>
      turn.withPermits(1)(
        Effect.uninterruptible(
          Effect.flatMap(Clock.currentTimeMillis, (now) => (now - attemptedAt < pause ? Effect.void : fetchNow))
        )
      )

    yield* turn
      .withPermits(1)(fetchNow)
      .pipe(Effect.repeat(Schedule.spaced(jwks.refresh)), Effect.forkScoped)

    const unavailable = () => new KeysUnavailable({ reason: failure ?? "they are too old" })

    const find = (header: JWTHeaderParameters) =>
      Effect.suspend((): Effect.Effect<CryptoKey, KeyUnknown | KeysUnavailable> => {
        const set = keys?.find
        if (set === undefined) return Effect.fail(unavailable())
        return Effect.tryPromise({
          try: () => set(header),
          catch: (thrown) => {
            if (thrown instanceof errors.JWKSMultipleMatchingKeys) {
              return new KeyUnknown({
                reason: "more than one of the issuer's keys fits the token; it must name one (kid)"
              })
            }
            return new KeyUnknown({ reason: "the token's key is none of the issuer's" })
          }
        })
      })

    return {
      keyFor: Effect.fnUntraced(function* (header) {
        if (!isBelieved(yield* Clock.currentTimeMillis)) {
          yield* fetchUnlessWithin(failurePause)
          if (!isBelieved(yield* Clock.currentTimeMillis)) return yield* unavailable()
        }
        return yield* find(header).pipe(
          Effect.catchTag("KeyUnknown", () =>
            // The issuer may have a new one. While it cannot be asked, nobody knows.
            Effect.zipRight(
              fetchUnlessWithin(Duration.toMillis(jwks.coolDown)),
              Effect.suspend(() => (failure === undefined ? find(header) : Effect.fail(unavailable())))
            )
          )
        )
      }),
      generation: () => generation,
      believedUntil: () =>
        keys === undefined ? Number.NEGATIVE_INFINITY : keys.fetchedAt + Duration.toMillis(jwks.maxAge)
    }
  })
