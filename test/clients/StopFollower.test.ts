import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { UnsecuredJWT } from "jose"
import * as AllSettings from "../../src/app/AllSettings.ts"
import * as StopFollower from "../../src/clients/StopFollower.ts"
import { Stops } from "../../src/clients/Stops.ts"
import { eventually } from "../support/Eventually.ts"
import { json, peerServer } from "../support/PeerServer.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

const message = (next: string, subject: string) => ({
  next,
  policy_version: "one",
  revocations: [{ no: 1, id: subject, kind: "ghost", subject, effect: "stop", at: 1, by: "admin", reason: null }]
})

const followed = (url: string, home: string, authorization = "Bearer t") =>
  Effect.map(
    Layer.build(
      StopFollower.layer({
        owner: "router",
        location: Effect.succeed(url),
        token: { authorization: Effect.succeed(Redacted.make(authorization)), renew: Effect.void }
      }).pipe(
        Layer.provide([
          AllSettings.layer.pipe(
            Layer.provide(
              Layer.setConfigProvider(
                ConfigProvider.fromMap(
                  new Map([
                    ["GRAVITAS_HOME", home],
                    ["STOP_FEED_GRACE", "3s"]
                  ])
                )
              )
            )
          ),
          NodeHttpClient.layerUndici,
          NodeContext.layer,
          Logger.remove(Logger.defaultLogger)
        ])
      )
    ),
    Context.get(Stops)
  )

const knows = (stops: typeof Stops.Service, ghost: string) =>
  eventually(
    Effect.sync(() => stops.list().ghosts.has(ghost)),
    (known) => known
  )

describe("a process that follows the stops of a gatekeeper", () => {
  it.scopedLive("reads a stream, and polls where that ends", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const peer = yield* peerServer((response, count) => {
        if (count > 1) return json(response, 200, message("b", "Polled"))
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(`data: ${JSON.stringify(message("a", "Streamed"))}\n\n`)
      })
      const stops = yield* followed(peer.url, home)
      yield* knows(stops, "Streamed")
      yield* knows(stops, "Polled")
      expect(stops.policyVersion()).toBe("one")
      expect(peer.seen[0]).toMatchObject({ path: "/stops", headers: { authorization: "Bearer t" } })
      expect(peer.seen[1]?.path).toBe("/stops?after=a")
      expect(yield* stops.feedProblem).toBeUndefined()
    })
  )

  it.scopedLive("knows that it is stopped itself, from that moment until it hears of its resume", () =>
    Effect.gen(function* () {
      const token = new UnsecuredJWT({}).setSubject("service:router").encode()
      let resumed = false
      const peer = yield* peerServer((response, count) => {
        if (count === 1) {
          response.writeHead(200, { "content-type": "text/event-stream" })
          return void response.end(`data: ${JSON.stringify(message("a", "service:router"))}\n\n`)
        }
        if (!resumed) return void response.writeHead(401).end()
        const own = { ...message("b", "service:router").revocations[0], no: 2, id: "resume", effect: "resume" }
        json(response, 200, { ...message("b", "service:router"), revocations: [own] })
      })
      const stops = yield* followed(peer.url, yield* temporaryHome, `Bearer ${token}`)
      yield* knows(stops, "service:router")
      expect(yield* stops.feedProblem).toBe("stopped")
      resumed = true
      yield* eventually(stops.feedProblem, (problem) => problem === undefined)
    })
  )

  it.scopedLive("knows that its own token was revoked", () =>
    Effect.gen(function* () {
      const token = new UnsecuredJWT({}).setSubject("service:router").setJti("own").encode()
      const peer = yield* peerServer((response) => {
        const [stop] = message("a", "own").revocations
        json(response, 200, { ...message("a", "own"), revocations: [{ ...stop, kind: "token" }] })
      })
      const stops = yield* followed(peer.url, yield* temporaryHome, `Bearer ${token}`)
      expect(yield* eventually(stops.feedProblem, (problem) => problem !== undefined)).toBe("stopped")
    })
  )

  it.scopedLive("keeps what it knows, over a restart too, and notices that it hears nothing", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const copy = join(home, "stops", "router.json")
      let answers = true
      const peer = yield* peerServer((response) =>
        answers ? json(response, 200, message("a", "Scout")) : void response.destroy()
      )
      const stops = yield* followed(peer.url, home)
      yield* knows(stops, "Scout")
      yield* eventually(
        Effect.promise(() => readFile(copy, "utf8").catch(() => "")),
        (text) => text.includes("Scout")
      )
      answers = false
      yield* eventually(stops.feedProblem, (problem) => problem === "silent")
      expect(stops.list().ghosts.has("Scout")).toBe(true)
      const again = yield* followed(peer.url, home)
      expect(again.list().ghosts.has("Scout")).toBe(true)
      expect(yield* again.feedProblem).toBeUndefined()
    })
  )
})
