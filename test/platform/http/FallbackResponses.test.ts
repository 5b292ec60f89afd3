import { RouteNotFound } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { openAiFields } from "../../../src/contracts/router/RouterErrors.ts"
import { answerUnhandled } from "../../../src/platform/http/FallbackResponses.ts"
import { routeTable } from "../../../src/platform/http/RouteTable.ts"

const request = HttpServerRequest.fromWeb(
  new Request("http://localhost/validate", { method: "POST", headers: { "x-request-id": "request-1" } })
)

describe("answerUnhandled", () => {
  it.effect("answers a defect with 500 and its request id; the cause goes to the log, not to the client", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const capture = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.stringLogger, (line) => {
          logged.push(line)
        })
      )
      const app = answerUnhandled("gatekeeper", routeTable(new Map()))(Effect.die(new Error("the secret of the house")))
      const response = yield* app.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.scoped,
        Effect.provide(capture)
      )
      expect(response.status).toBe(500)
      const body = JSON.stringify(response.body)
      expect(body).not.toContain("secret of the house")
      expect(logged.join("\n")).toMatch(/secret of the house[\s\S]*request_id=request-1/)
    })
  )

  it.effect("does not refuse a method that the path takes: it is the path that cannot be read", () =>
    Effect.gen(function* () {
      const table = routeTable(new Map([["/badges/:ghost", ["GET"]]]))
      const asking = (method: string, path: string) => {
        const given = HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { method }))
        return answerUnhandled(
          "guardian",
          table
        )(Effect.fail(new RouteNotFound({ request: given }))).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, given),
          Effect.scoped,
          Effect.map(({ status }) => status)
        )
      }
      expect(yield* asking("GET", "/badges/%ff")).toBe(400)
      expect(yield* asking("PUT", "/badges/%ff")).toBe(405)
      expect(yield* asking("GET", "/nothing/%ff")).toBe(404)
    })
  )

  it.effect("gives an error the further fields that its service's clients look for, on the paths where they do", () =>
    Effect.gen(function* () {
      for (const [path, fields] of [
        ["/v1/models", { type: "server_error", param: null }],
        ["/health", {}]
      ] as const) {
        const app = answerUnhandled("router", routeTable(new Map()), openAiFields)(Effect.die(new Error("no")))
        const response = yield* app.pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { headers: { "x-request-id": "r" } }))
          ),
          Effect.scoped,
          Effect.provide(Logger.remove(Logger.defaultLogger))
        )
        const body = JSON.parse(yield* Effect.promise(() => HttpServerResponse.toWeb(response).text()))
        expect(body.error).toEqual({
          code: "internal_error",
          message: expect.stringContaining("its log"),
          request_id: "r",
          ...fields
        })
      }
    })
  )
})
