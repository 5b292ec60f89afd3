import * as Http from "node:http"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { endWithBench, serveBench } from "../../../test/support/BenchChild.ts"

/** What a gatekeeper can at best be as fast as: takes its question as JSON and answers as long, but decides and records nothing. */

/** As long as an answer of `/validate`. */
const answerTo = (question: unknown) => ({
  allowed: true,
  ghost_id: "Librarian",
  groups: ["librarian"],
  audit_id: "0197d7a4-0000-7000-8000-000000000000",
  reason: "permission 1 of group librarian (execute on shells/*) allows it",
  matched: { group: "librarian", rule: typeof question === "object" ? 1 : 2 },
  policy_version: "0123456789ab"
})

/** `node:http` and nothing else. */
const plain = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    const text = JSON.stringify(answerTo(JSON.parse(Buffer.concat(chunks).toString("utf8"))))
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
    response.end(text)
  })
}

/** The platform's router as its documentation sets it up, its tracer off as the gatekeeper's is. */
const router = HttpRouter.empty.pipe(
  HttpRouter.post(
    "/validate",
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.map(request.json, (question) => HttpServerResponse.unsafeJson(answerTo(question)))
    )
  )
)

const handler =
  process.argv[2] === "router"
    ? NodeHttpServer.makeHandler(router).pipe(
        Effect.provide(NodeHttpServer.layerContext),
        Effect.withTracerEnabled(false),
        Effect.orDie
      )
    : Effect.succeed(plain)

endWithBench()

Effect.gen(function* () {
  const server = Http.createServer(yield* handler)
  yield* serveBench(server)
}).pipe(NodeRuntime.runMain)
