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
  /** The keys that fit a token's header. Fetches the keys where they are missing, too old, or do not have such a key. */
  readonly keysFor: (
    header: JWTHeaderParameters
  ) => Effect.Effect<ReadonlyArray<CryptoKey>, KeyUnknown | KeysUnavailable>
  /** Fetches the keys, at most once within `JWKS_COOL_DOWN`; true if they are then others than those of `generation`. */
  readonly haveChanged: (generation: number) => Effect.Effect<boolean>
  /** Increases whenever the keys change. */
  readonly generation: () => number
  /** The end of the time in which the keys are used without being fetched again, in milliseconds since the epoch. */
  readonly believedUntil: () => number
  readonly status: () => RemoteKeysStatus
}

/** What is known of the issuer's keys. */
export interface RemoteKeysStatus {
  /** When the keys in use were fetched, in milliseconds since the epoch; undefined before the first success. */
  readonly fetchedAt: number | undefined
  /** Fetches that failed since the start of the process. */
  readonly failures: number
  /** Why the last fetch failed; undefined if it succeeded. */
  readonly problem: string | undefined
}

/** Milliseconds after a failed fetch in which no request starts another. */
const failurePause = 1_000

const keyUnknown = (thrown: unknown, problem: string | undefined): KeyUnknown =>
  new KeyUnknown({
    reason:
      thrown instanceof errors.JWKSMultipleMatchingKeys
        ? "more than one of the issuer's keys fits the token; it must name one (kid)"
        : problem === undefined
          ? "the issuer has no such key as the token's"
          : `the issuer's key that the token names cannot be used: ${problem}`
  })

/** Fetches the keys at once, in the background, and again at each interval, until the scope ends. */
export const remoteKeys = (jwks: Jwks): Effect.Effect<RemoteKeys, never, Scope.Scope> =>
  Effect.gen(function* () {
    const oneFetch = yield* Effect.makeSemaphore(1)
    let keys: (IssuerKeys & { readonly fetchedAt: number }) | undefined
    let failure: string | undefined
    let failures = 0
    /** When the last fetch ended. A request that waited for a slow fetch must not start another. */
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
        failures += 1
        return
      }
      const isNew = keys?.text !== fetched.right.text
      if (isNew) generation += 1
      if (isNew || failure !== undefined) yield* Effect.logInfo(`Signing keys fetched from ${jwks.url.origin}.`)
      failure = undefined
      keys = { ...fetched.right, fetchedAt: now }
    })

    /** Requests share a fetch. It goes on when the client that started it leaves, since others wait for it. */
    const fetchUnlessWithin = (pause: number) =>
      oneFetch.withPermits(1)(
        Effect.uninterruptible(
          Effect.flatMap(Clock.currentTimeMillis, (now) => (now - attemptedAt < pause ? Effect.void : fetchNow))
        )
      )

    yield* oneFetch
      .withPermits(1)(fetchNow)
      .pipe(Effect.repeat(Schedule.spaced(jwks.refresh)), Effect.forkScoped)

    const unavailable = () => new KeysUnavailable({ reason: failure ?? "they are too old" })

    const find = (header: JWTHeaderParameters) =>
      Effect.suspend((): Effect.Effect<ReadonlyArray<CryptoKey>, KeyUnknown | KeysUnavailable> => {
        const set = keys
        if (set === undefined) return Effect.fail(unavailable())
        return Effect.tryPromise({
          try: () => set.find(header),
          catch: (thrown) => keyUnknown(thrown, set.problemOf(header))
        })
      })

    return {
      keysFor: Effect.fnUntraced(function* (header) {
        if (!isBelieved(yield* Clock.currentTimeMillis)) {
          yield* fetchUnlessWithin(failurePause)
          if (!isBelieved(yield* Clock.currentTimeMillis)) return yield* unavailable()
        }
        return yield* find(header).pipe(
          Effect.catchTag("KeyUnknown", () =>
            // The issuer may have a new key. While it is unreachable, that is unknown.
            Effect.zipRight(
              fetchUnlessWithin(Duration.toMillis(jwks.coolDown)),
              Effect.suspend(() => (failure === undefined ? find(header) : Effect.fail(unavailable())))
            )
          )
        )
      }),
      haveChanged: (seen) => Effect.map(fetchUnlessWithin(Duration.toMillis(jwks.coolDown)), () => generation !== seen),
      generation: () => generation,
      status: () => ({ fetchedAt: keys?.fetchedAt, failures, problem: failure }),
      believedUntil: () =>
        keys === undefined ? Number.NEGATIVE_INFINITY : keys.fetchedAt + Duration.toMillis(jwks.maxAge)
    }
  })
