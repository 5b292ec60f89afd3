import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { jsonResponse, toServerResponse } from "../../../src/platform/http/ErrorResponse.ts"
import { serve } from "../../../src/platform/http/HttpServer.ts"
import { Addresses } from "../../../src/platform/http/Listener.ts"

const api = HttpApi.make("test").add(
  HttpApiGroup.make("asking").add(HttpApiEndpoint.post("ask", "/ask").addSuccess(Schema.String))
)
const slow = HttpApiBuilder.group(api, "asking", (group) =>
  group.handleRaw("ask", () => Effect.succeed(toServerResponse(jsonResponse('"slow"'))))
)
const fastRoutes = new Map([["/ask", () => Effect.succeed(jsonResponse('"fast"'))]])

/** The lane that answers a `POST` of the path. */
const laneOf = (path: string) =>
  Effect.gen(function* () {
    const url = (yield* (yield* Addresses).all).get("gatekeeper")?.url
    return yield* Effect.promise((signal) => fetch(`${url}${path}`, { method: "POST", signal }).then((it) => it.json()))
  })

const environment = ConfigProvider.fromMap(new Map([["GATEKEEPER_PORT", "0"]]))
const served = Layer.fresh(serve("gatekeeper", api, "1", { fastRoutes }).pipe(Layer.provide(slow))).pipe(
  Layer.provide(Settings.layer.pipe(Layer.provide(Layer.setConfigProvider(environment)))),
  Layer.provideMerge(Addresses.layer)
)

describe("serve", () => {
  it.scopedLive("answers on the fast lane exactly where the service names the path, and only without tracing", () =>
    Effect.gen(function* () {
      const untraced = served.pipe(Layer.provide(Layer.setTracerEnabled(false)))
      yield* Effect.gen(function* () {
        expect(yield* laneOf("/ask")).toBe("fast")
        expect(yield* laneOf("/ask?a=b")).toBe("slow")
      }).pipe(Effect.provide(untraced))
      expect(yield* Effect.provide(laneOf("/ask"), served)).toBe("slow")
    })
  )

  it.scopedLive("answers 404 to another spelling of a path, which the platform's router would serve", () =>
    Effect.gen(function* () {
      for (const path of ["/Ask", "//ask", "/ask/", "/%61sk", "/ask;a=b", "/METRICS", "//metrics", "/%6detrics"]) {
        expect([path, yield* laneOf(path)]).toMatchObject([path, { error: { code: "not_found" } }])
      }
    }).pipe(Effect.provide(served))
  )
})
