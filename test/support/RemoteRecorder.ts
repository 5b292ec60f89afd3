import * as Http from "node:http"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as AllSettings from "../../src/app/AllSettings.ts"
import { remoteTrail } from "../../src/app/Serve.ts"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import type { ServiceName } from "../../src/domain/Service.ts"
import { Addresses } from "../../src/platform/http/Listener.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"

/**
 * A process with the trail of a guardian or router that runs without the gatekeeper, and nothing else. `POST /<n>` records n
 * events, each before the next, and answers their ids; `GET` tells the trail's state.
 */
const service: ServiceName = process.env["RECORDER_SERVICE"] === "router" ? "router" : "guardian"

const server = Layer.scopedDiscard(
  Effect.gen(function* () {
    const log = yield* AuditLog
    const run = Runtime.runPromise(yield* Effect.runtime())
    const record = (number: number) =>
      Effect.forEach(Array.from({ length: number }), () =>
        log.record({
          action: service === "router" ? "route" : "certificate.issue",
          resource: "certificates/agent",
          ghostId: "Scout",
          shellId: null,
          result: "ALLOWED",
          reason: null,
          requestId: null,
          metadata: { said: "by a process elsewhere" }
        })
      )
    const answering = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      const told = Effect.map(log.status, (status) => JSON.stringify(status))
      const recorded = record(Number(request.url?.slice(1))).pipe(
        Effect.map((ids) => JSON.stringify({ ids })),
        Effect.catchAll(({ message }) => Effect.succeed(JSON.stringify({ message })))
      )
      run(request.method === "POST" ? recorded : told).then((body) => response.end(body))
    }
    const http = Http.createServer(answering)
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void http.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => http.close())
    )
    const address = http.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    yield* Effect.sync(() => process.stdout.write(`recorder http://127.0.0.1:${port}\n`))
  })
)

const report = Layer.succeed(ShutdownReport, {
  reportUnwritten: (count) => Effect.sync(() => process.stdout.write(`unwritten ${count}\n`)),
  unwritten: () => 0
})

const trail = Layer.provide(remoteTrail([service]), report)

server.pipe(
  Layer.provide(trail),
  Layer.provide([AllSettings.layer, Addresses.layer]),
  Layer.provide(NodeContext.layer),
  Layer.launch,
  NodeRuntime.runMain
)
