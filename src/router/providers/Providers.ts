import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import { monotonicMillis } from "../../platform/os/MonotonicClock.ts"
import type { Catalog, ProviderSpec } from "../models/Catalog.ts"
import { admit, type CallOutcome, type CoolDownRules, fresh, settle, standardRules } from "../route/CoolDown.ts"
import { makeEchoProvider } from "./EchoProvider.ts"
import { makeOpenAiProvider } from "./OpenAiProvider.ts"
import type { Provider } from "./Provider.ts"
import { ProviderFailure } from "./ProviderFailure.ts"

/** A call that was let in. */
export interface AdmittedCall {
  readonly provider: Provider
  /** Says what became of it. */
  readonly settled: (outcome: CallOutcome) => Effect.Effect<void>
}

/** A provider with its cool-down. */
export interface GuardedProvider {
  readonly spec: ProviderSpec
  /** Asks to call it. Fails with `cooling` while it is left alone, with `unavailable` where its key is missing. */
  readonly enter: Effect.Effect<AdmittedCall, ProviderFailure>
  /** Why it cannot be asked now; undefined while it can. */
  readonly trouble: Effect.Effect<string | undefined>
}

/** No name, no header: a key that was pasted with a line break must not end up in a header's error. */
const isUsableKey = (key: string): boolean => /^[\x21-\x7e]+$/.test(key)

/** A variable that is set to nothing is not set. */
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
    const provider = yield* makeOpenAiProvider(spec, key)
    if (variable === undefined) return { provider, lacks: undefined }
    if (Option.isNone(key)) return { provider, lacks: `${variable} is not set` }
    const isUsable = isUsableKey(Redacted.value(key.value))
    return { provider, lacks: isUsable ? undefined : `${variable} holds what cannot be a key` }
  })

const guardProvider = (spec: ProviderSpec, rules: CoolDownRules) =>
  Effect.gen(function* () {
    const { lacks, provider } = yield* makeProvider(spec)
    const state = yield* Ref.make(fresh)
    if (lacks !== undefined) {
      yield* Effect.logWarning(`Provider ${spec.name} is unavailable: ${lacks}. Its shells answer 503 or fall back.`)
    }
    const cooling = (millis: number) => `is left alone for ${Math.ceil(millis / 1_000)} s, because it kept failing`
    const settled = (epoch: number) => (outcome: CallOutcome) =>
      Effect.gen(function* () {
        const now = yield* monotonicMillis
        const [before, after] = yield* Ref.modify(state, (was) => {
          const is = settle(rules, was, epoch, outcome, now)
          return [[was, is] as const, is]
        })
        if (after._tag === "Open" && before._tag !== "Open" && outcome === "failed") {
          yield* Effect.logWarning(`Provider ${spec.name} ${cooling(after.until - now)}.`)
        }
        if (after._tag === "Closed" && before._tag !== "Closed") {
          yield* Effect.logInfo(`Provider ${spec.name} answers again.`)
        }
      })
    const enter = Effect.gen(function* () {
      if (lacks !== undefined) {
        return yield* new ProviderFailure({
          provider: spec.name,
          kind: "unavailable",
          reason: `is unavailable: ${lacks}`
        })
      }
      const now = yield* monotonicMillis
      const admission = yield* Ref.modify(state, (before) => {
        const found = admit(rules, before, now)
        return [found, found.next]
      })
      if (admission.admitted) return { provider, settled: settled(admission.next.epoch) }
      const { retryAfterMillis } = admission
      return yield* new ProviderFailure({
        provider: spec.name,
        kind: "cooling",
        reason: cooling(retryAfterMillis),
        retryAfterMillis
      })
    })
    return {
      spec,
      enter,
      trouble: Effect.gen(function* () {
        if (lacks !== undefined) return `is unavailable: ${lacks}`
        const now = yield* monotonicMillis
        const found = admit(rules, yield* Ref.get(state), now)
        return found.admitted ? undefined : cooling(found.retryAfterMillis)
      })
    } satisfies GuardedProvider
  })

/** The providers of the catalogue, each with its connections, its key (read once) and its cool-down. */
export class Providers extends Context.Tag("router/providers/Providers")<
  Providers,
  { readonly get: (provider: string) => GuardedProvider }
>() {
  static readonly layer = (catalog: Catalog, rules: CoolDownRules = standardRules) =>
    Layer.scoped(
      Providers,
      Effect.gen(function* () {
        const guarded = new Map<string, GuardedProvider>()
        for (const spec of catalog.providers.values()) guarded.set(spec.name, yield* guardProvider(spec, rules))
        return {
          get: (provider) => {
            const found = guarded.get(provider)
            if (found === undefined)
              throw new Error(`the catalogue let a shell through whose provider is none: ${provider}`)
            return found
          }
        }
      })
    )
}
