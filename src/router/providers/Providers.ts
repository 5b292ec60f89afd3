import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as CircuitBreaker from "../../clients/CircuitBreaker.ts"
import type { Catalog, ProviderSpec } from "../models/Catalog.ts"
import { makeEchoProvider } from "./EchoProvider.ts"
import { makeOpenAiProvider } from "./OpenAiProvider.ts"
import { type Provider, ProviderFailure } from "./Provider.ts"

/** A provider opens its breaker by failures in a row; a probe's answer may take minutes, so others try meanwhile. */
const standardBreaker: CircuitBreaker.BreakerOptions = {
  consecutive: 3,
  firstPauseMillis: 2_000,
  longestPauseMillis: 60_000,
  probeMillis: 15_000
}

interface AdmittedCall {
  readonly provider: Provider
  readonly settle: (outcome: CircuitBreaker.CallOutcome) => Effect.Effect<void>
}

export interface GuardedProvider {
  readonly spec: ProviderSpec
  /** Lets a call out. Fails with `cooling` while the breaker is open, with `unavailable` where the provider's key is missing. */
  readonly enter: Effect.Effect<AdmittedCall, ProviderFailure>
  /** Why it cannot be called now; undefined while it can. */
  readonly trouble: Effect.Effect<string | undefined>
}

/** A key that was pasted with a line break must not reach the error message of a header. */
const isUsableKey = (key: string): boolean => /^[\x21-\x7e]+$/.test(key)

/** An empty variable counts as not set. */
const readKey = (variable: string): Effect.Effect<Option.Option<Redacted.Redacted>> =>
  Config.option(Config.redacted(variable)).pipe(
    Effect.orElseSucceed(() => Option.none<Redacted.Redacted>()),
    Effect.map(Option.map((key) => Redacted.make(Redacted.value(key).trim()))),
    Effect.map(Option.filter((key) => Redacted.value(key) !== ""))
  )

const makeProvider = (spec: ProviderSpec) =>
  Effect.gen(function* () {
    if (spec.kind === "echo") return { provider: makeEchoProvider(spec.name), lacks: undefined }
    const variable = spec.apiKeyVariable
    const key = variable === undefined ? Option.none() : yield* readKey(variable)
    const problem = Option.match(key, {
      onNone: () => "is not set",
      onSome: (given) => (isUsableKey(Redacted.value(given)) ? undefined : "holds a value that cannot be a key")
    })
    const lacks = variable === undefined || problem === undefined ? undefined : `${variable} ${problem}`
    return { provider: yield* makeOpenAiProvider(spec, key), lacks }
  })

const cooling = (millis: number) => `is left alone for ${Math.ceil(millis / 1_000)} s, because it kept failing`

const guardProvider = (
  spec: ProviderSpec,
  options: CircuitBreaker.BreakerOptions
): Effect.Effect<GuardedProvider, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { lacks, provider } = yield* makeProvider(spec)
    const breaker = yield* CircuitBreaker.make(options)
    if (lacks !== undefined) {
      yield* Effect.logWarning(`Provider ${spec.name} is unavailable: ${lacks}. Its shells answer 503 or fall back.`)
    }
    const reported =
      (settle: (outcome: CircuitBreaker.CallOutcome) => Effect.Effect<CircuitBreaker.Transition>) =>
      (outcome: CircuitBreaker.CallOutcome) =>
        Effect.flatMap(settle(outcome), ({ from, pauseMillis, to }) => {
          if (from === to) return Effect.void
          if (to === "Closed") return Effect.logInfo(`Provider ${spec.name} answers again.`)
          return outcome === "failed"
            ? Effect.logWarning(`Provider ${spec.name} ${cooling(pauseMillis)}.`)
            : Effect.void
        })
    const failure = (fields: Pick<ProviderFailure, "kind" | "reason"> & { readonly retryAfterMillis?: number }) =>
      new ProviderFailure({ provider: spec.name, ...fields })
    return {
      spec,
      enter:
        lacks === undefined
          ? breaker.enter.pipe(
              Effect.mapError(({ retryAfterMillis }) =>
                failure({ kind: "cooling", reason: cooling(retryAfterMillis), retryAfterMillis })
              ),
              Effect.map((settle) => ({ provider, settle: reported(settle) }))
            )
          : failure({ kind: "unavailable", reason: `is unavailable: ${lacks}` }),
      trouble:
        lacks === undefined
          ? Effect.match(breaker.check, {
              onSuccess: () => undefined,
              onFailure: ({ retryAfterMillis }) => cooling(retryAfterMillis)
            })
          : Effect.succeed(`is unavailable: ${lacks}`)
    }
  })

/** The providers of the catalogue, each with its connections, its key (read once) and its circuit breaker. */
export class Providers extends Context.Tag("router/providers/Providers")<
  Providers,
  { readonly get: (provider: string) => GuardedProvider }
>() {
  static readonly layer = (catalog: Catalog, breaker = standardBreaker) =>
    Layer.scoped(
      Providers,
      Effect.gen(function* () {
        const guarded = new Map<string, GuardedProvider>()
        for (const spec of catalog.providers.values()) guarded.set(spec.name, yield* guardProvider(spec, breaker))
        return {
          get: (provider) => {
            const found = guarded.get(provider)
            if (found === undefined)
              throw new Error(`a shell of the catalogue names provider ${provider}, which is not defined`)
            return found
          }
        }
      })
    )
}
