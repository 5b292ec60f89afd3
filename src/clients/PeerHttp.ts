import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClientSettings } from "./ClientSettings.ts"

/** Bytes of an answer: many times what any of the peers' answers has. */
const maximumAnswerBytes = 256 * 1024

/** To one peer; more calls than these wait for one of them, within their time. */
const connections = 64

const dispatcher = Layer.scoped(
  NodeHttpClient.Dispatcher,
  Effect.flatMap(ClientSettings, ({ peerTimeout }) =>
    Effect.acquireRelease(
      Effect.sync(
        () =>
          new Undici.Agent({
            connections,
            maxResponseSize: maximumAnswerBytes,
            connect: { timeout: Duration.toMillis(peerTimeout) }
          })
      ),
      (agent) => Effect.promise(() => agent.destroy())
    )
  )
)

/**
 * The client by which peers are asked: kept-alive connections, answers bounded in size, no redirects. A connection that its
 * server is about to close for idleness is not used again: undici heeds the server's own `Keep-Alive: timeout`.
 */
export const layer = NodeHttpClient.layerUndiciWithoutDispatcher.pipe(Layer.provide(dispatcher))
