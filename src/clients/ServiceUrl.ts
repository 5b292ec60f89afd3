import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../domain/Service.ts"
import { Settings } from "../platform/config/Settings.ts"
import { Addresses } from "../platform/http/Addresses.ts"
import { ClientSettings } from "./ClientSettings.ts"

/** Where a peer is: as the setting says, else where it listens in this process, else at its port on this machine. */
export const locationOf = (peer: Extract<ServiceName, "gatekeeper" | "guardian">) =>
  Effect.gen(function* () {
    const { peerUrls } = yield* ClientSettings
    const { ports } = yield* Settings
    const addresses = yield* Addresses
    return Option.match(peerUrls[peer], {
      onNone: () => Effect.map(addresses.all, (known) => known.get(peer)?.url ?? `http://127.0.0.1:${ports[peer]}`),
      onSome: Effect.succeed
    })
  })
