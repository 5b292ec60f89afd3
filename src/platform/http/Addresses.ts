import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { ServiceName } from "../../domain/Service.ts"

export interface Address {
  readonly url: string
  /** The revision of the service's schema. */
  readonly revision: string
}

/** Where each service of this process listens. It is known only then, since a port may be 0. */
export class Addresses extends Context.Tag("platform/http/Addresses")<
  Addresses,
  {
    readonly announce: (service: ServiceName, address: Address) => Effect.Effect<void>
    readonly all: Effect.Effect<ReadonlyMap<ServiceName, Address>>
  }
>() {
  static readonly layer = Layer.effect(
    Addresses,
    Effect.map(Ref.make<ReadonlyMap<ServiceName, Address>>(new Map()), (ref) => ({
      announce: (service, address) => Ref.update(ref, (known) => new Map([...known, [service, address]])),
      all: Ref.get(ref)
    }))
  )
}
