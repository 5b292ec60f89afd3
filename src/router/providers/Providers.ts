import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as CircuitBreaker from "../../clients/CircuitBreaker.ts"
import type { Catalog, ProviderSpec, Shell } from "../models/Catalog.ts"
import { makeEchoProvider } from "./EchoProvider.ts"
import { makeOpenAiProvider } from "./OpenAiProvider.ts"
import { type Provider, ProviderFailure } from "./Provider.ts"

/** A shell opens its breaker by failures in a row; a probe's answer may take minutes, so others try meanwhile. */
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

/** A shell before its provider. Limits of providers are those of one model, so a shell that fails leaves the others available. */
export interface GuardedShell {
  readonly spec: ProviderSpec
  /** Lets a call out. Fails with `cooling` while the breaker is open, with `unavailable` where the provider's key is missing. */
  readonly enter: Effect.Effect<AdmittedCall, ProviderFailure>
  /** Why it cannot be called now; undefined while it can. */
  readonly trouble: Effect.Effect<string | undefined>
}

/** A key that was pasted with a line break must not reach the error message of a header. */
const isUsableKey = (key: string): boolean => /^[\x21-\x7e]+$/.test(key)

/** An empty variable counts as not set. */
const readSecret = (variable: string): Effect.Effect<Option.Option<Redacted.Redacted>> =>
  Config.option(Config.redacted(variable)).pipe(
    Effect.orElseSucceed(() => Option.none<Redacted.Redacted>()),
    Effect.map(Option.map((key) => Redacted.make(Redacted.value(key).trim()))),
    Effect.map(Option.filter((key) => Redacted.value(key) !== ""))
  )

/** A provider, and why it cannot be asked: what it lacks. */
interface MadeProvider {
  readonly spec: ProviderSpec
  readonly provider: Provider
  readonly lacks: string | undefined
}

/** A proxy without a value would send requests past it. */
const readProxy = ({ proxy, proxyVariable }: ProviderSpec) =>
  proxyVariable === undefined
    ? Effect.succeed({ url: proxy === undefined ? undefined : Redacted.make(proxy), lacks: undefined })
    : Effect.map(readSecret(proxyVariable), (given) => {
        const url = Option.getOrUndefined(given)
        const isUrl = url !== undefined && /^https?:/.test(Redacted.value(url)) && URL.canParse(Redacted.value(url))
        return { url, lacks: isUrl ? undefined : `${proxyVariable} is not set to the URL of a proxy` }
      })

const makeProvider = (spec: ProviderSpec): Effect.Effect<MadeProvider, never, Scope.Scope> =>
  Effect.gen(function* () {
    if (spec.kind === "echo") return { spec, provider: makeEchoProvider(spec.name), lacks: undefined }
    const variable = spec.apiKeyVariable
    const key = variable === undefined ? Option.none() : yield* readSecret(variable)
    const problem = Option.match(key, {
      onNone: () => "is not set",
      onSome: (given) => (isUsableKey(Redacted.value(given)) ? undefined : "holds a value that cannot be a key")
    })
    const proxy = yield* readProxy(spec)
    const lacks = variable === undefined || problem === undefined ? proxy.lacks : `${variable} ${problem}`
    const provider = yield* makeOpenAiProvider(spec, key, lacks === undefined ? proxy.url : undefined)
    if (lacks !== undefined) {
      yield* Effect.logWarning(`Provider ${spec.name} is unavailable: ${lacks}. Its shells answer 503 or fall back.`)
    }
    return { spec, provider, lacks }
  })

const cooling = (shell: string, millis: number, why: string) =>
  `is left alone for ${Math.ceil(millis / 1_000)} s for the shell ${shell}, because it ${why}`

const guardShell = (
  shell: string,
  { lacks, provider, spec }: MadeProvider,
  options: CircuitBreaker.BreakerOptions
): Effect.Effect<GuardedShell> =>
  Effect.map(CircuitBreaker.make(options), (breaker) => {
    let why = ""
    const reported =
      (settle: (outcome: CircuitBreaker.CallOutcome) => Effect.Effect<CircuitBreaker.Transition>) =>
      (outcome: CircuitBreaker.CallOutcome) =>
        Effect.flatMap(settle(outcome), ({ from, pauseMillis, to }) => {
          if (from === to) return Effect.void
          if (to === "Closed") return Effect.logInfo(`Provider ${spec.name} answers again for the shell ${shell}.`)
          if (outcome !== "failed" && typeof outcome === "string") return Effect.void
          why = outcome === "failed" ? "kept failing" : "asked for that"
          return Effect.logWarning(`Provider ${spec.name} ${cooling(shell, pauseMillis, why)}.`)
        })
    const failure = (fields: Pick<ProviderFailure, "kind" | "reason"> & { readonly retryAfterMillis?: number }) =>
      new ProviderFailure({ provider: spec.name, ...fields })
    return {
      spec,
      enter:
        lacks === undefined
          ? breaker.enter.pipe(
              Effect.mapError(({ retryAfterMillis }) =>
                failure({ kind: "cooling", reason: cooling(shell, retryAfterMillis, why), retryAfterMillis })
              ),
              Effect.map((settle) => ({ provider, settle: reported(settle) }))
            )
          : failure({ kind: "unavailable", reason: `is unavailable: ${lacks}` }),
      trouble:
        lacks === undefined
          ? Effect.match(breaker.check, {
              onSuccess: () => undefined,
              onFailure: ({ retryAfterMillis }) => cooling(shell, retryAfterMillis, why)
            })
          : Effect.succeed(`is unavailable: ${lacks}`)
    }
  })

/** The shells of the catalogue, each with its circuit breaker; their providers, each with its connections and its key, read once. */
export class Providers extends Context.Tag("router/providers/Providers")<
  Providers,
  { readonly get: (shell: Pick<Shell, "name">) => GuardedShell }
>() {
  static readonly layer = (catalog: Catalog, breaker = standardBreaker) =>
    Layer.scoped(
      Providers,
      Effect.gen(function* () {
        const made = new Map<string, MadeProvider>()
        for (const spec of catalog.providers.values()) made.set(spec.name, yield* makeProvider(spec))
        const guarded = new Map<string, GuardedShell>()
        for (const { name, provider } of catalog.shells.values()) {
          const of = made.get(provider)
          if (of === undefined) throw new Error(`shell ${name} names provider ${provider}, which is not defined`)
          guarded.set(name, yield* guardShell(name, of, breaker))
        }
        return {
          get: ({ name }) => {
            const found = guarded.get(name)
            if (found === undefined) throw new Error(`the catalogue has no shell ${name}`)
            return found
          }
        }
      })
    )
}
