import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as AllSettings from "../../src/app/AllSettings.ts"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import { GuardianClient } from "../../src/clients/GuardianClient.ts"
import { PeerTokens } from "../../src/clients/PeerTokens.ts"
import { Addresses } from "../../src/platform/http/Listener.ts"

export interface Seen {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

export interface PeerServer {
  readonly url: string
  readonly seen: ReadonlyArray<Seen>
  /** Connections made to it so far. */
  readonly connections: () => number
}

export type Respond = (response: Http.ServerResponse, count: number) => void

/** A peer that answers as it is told; `count` is that of its requests so far, this one included. */
export const peerServer = (respond: Respond) =>
  Effect.acquireRelease(
    Effect.async<{ readonly peer: PeerServer; readonly server: Http.Server }>((resume) => {
      const seen: Array<Seen> = []
      let connections = 0
      const server = Http.createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk) => {
          body += chunk
        })
        request.on("end", () => {
          seen.push({ path: request.url ?? "", headers: request.headers, body })
          respond(response, seen.length)
        })
      })
      server.on("connection", () => {
        connections += 1
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const peer = { url: `http://127.0.0.1:${port}`, seen, connections: () => connections }
        resume(Effect.succeed({ peer, server }))
      })
    }),
    ({ server }) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map(({ peer }) => peer))

/** A port without a listener. */
export const deadUrl = Effect.async<string>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(`http://127.0.0.1:${port}`)))
  })
})

/** Passes a caller's own token on, as no process does over HTTP. */
export const ownTokens = Layer.succeed(PeerTokens, {
  towards: (_, { authorization }) => Effect.succeed({ authorization, isCached: false }),
  forget: () => Effect.void
})

/** The clients of the peers at `url`, or at `addresses` where it is undefined. */
export const peersAt = (
  url: string | undefined,
  timeout = "250ms",
  environment: Readonly<Record<string, string>> = {},
  addresses: Layer.Layer<Addresses> = Addresses.layer,
  tokens: Layer.Layer<PeerTokens> = ownTokens
) =>
  Layer.mergeAll(GatekeeperClient.layer, GuardianClient.layer).pipe(
    Layer.provide(tokens),
    Layer.provide(AllSettings.layer),
    Layer.provide(addresses),
    Layer.provide(
      Layer.setConfigProvider(
        ConfigProvider.fromMap(
          new Map(
            Object.entries({
              ...(url === undefined ? {} : { GATEKEEPER_URL: url, GUARDIAN_URL: url }),
              PEER_TIMEOUT: timeout,
              ...environment
            })
          )
        )
      )
    ),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

export const json = (response: Http.ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}

export const allowed = {
  allowed: true,
  ghost_id: "Scout",
  groups: ["scout"],
  audit_id: "0197d7a4-0000-7000-8000-000000000000",
  reason: "permission 1 of scout",
  matched: { group: "scout", rule: 1 },
  policy_version: "0123456789ab"
}

export const refusal = (code: string, message = `no: ${code}`) => ({
  error: { code, message, request_id: "r", audit_id: allowed.audit_id },
  detail: message
})
