import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

interface Authorization {
  /** A value for the `Authorization` header; undefined where this process has no token of its own. */
  readonly authorization: Effect.Effect<Redacted.Redacted | undefined, { readonly message: string }>
  /** Replaces a token that was refused, where this process makes its own. */
  readonly renew: Effect.Effect<void>
}

/** How this process proves to a service in another process which service it is. By default it cannot, and is refused there. */
export class ServiceAuthorization extends Context.Reference<ServiceAuthorization>()("clients/ServiceAuthorization", {
  defaultValue: (): Authorization => ({ authorization: Effect.succeed(undefined), renew: Effect.void })
}) {}
