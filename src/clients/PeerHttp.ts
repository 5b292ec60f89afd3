import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Settings } from "../platform/config/Settings.ts"
import { followPem } from "../platform/http/Tls.ts"
import { ClientSettings } from "./ClientSettings.ts"

/**
 * The HTTP client for peers: kept-alive connections, no redirects. A connection that its server is about to close for idleness is not
 * used again: undici heeds the server's own `Keep-Alive: timeout`. Over https the peer's certificate is checked with `PEER_CA_FILE`, and
 * this process shows its own; new connections use what the files hold then.
 */
export const layer = (options: Undici.Agent.Options) =>
  NodeHttpClient.layerUndiciWithoutDispatcher.pipe(
    Layer.provide(
      Layer.scoped(
        NodeHttpClient.Dispatcher,
        Effect.gen(function* () {
          const { peerCaFile, peerTimeout } = yield* ClientSettings
          const { tls } = yield* Settings
          const timeout = Duration.toMillis(peerTimeout)
          let connect = Undici.buildConnector({ timeout })
          const files = {
            ca: peerCaFile,
            cert: Option.map(tls, ({ certificate }) => certificate),
            key: Option.map(tls, ({ key }) => key)
          }
          yield* followPem(files, (contents) => {
            connect = Undici.buildConnector({ ...contents, timeout })
          })
          return yield* Effect.acquireRelease(
            Effect.sync(
              () => new Undici.Agent({ ...options, connect: (request, callback) => connect(request, callback) })
            ),
            (agent) => Effect.promise(() => agent.destroy())
          )
        })
      )
    )
  )
