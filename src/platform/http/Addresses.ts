import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { ServiceName } from "../../domain/Service.ts"

/** Where each service of this process listens, once it does: known only then, for a port may be given as 0. */
export class Addresses extends Context.Tag("platform/http/Addresses")<
  Addresses,
  {
    readonly announce: (service: ServiceName, url: string) => Effect.Effect<void>
    readonly all: Effect.Effect<ReadonlyMap<ServiceName, string>>
  }
>() {
  static readonly layer = Layer.effect(
    Addresses,
    Effect.map(Ref.make<ReadonlyMap<ServiceName, string>>(new Map()), (ref) => ({
      announce: (service, url) => Ref.update(ref, (known) => new Map([...known, [service, url]])),
      all: Ref.get(ref)
    }))
  )
}
