import { createHash } from "node:crypto"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AnyApi } from "./OpenApiDocument.ts"

const inlineScript = /<script>([\s\S]*?)<\/script>/g

/** Allows the page's own scripts by their hashes, and nothing from elsewhere: the page needs no other server. */
const policyOf = (html: string): string => {
  const hashes = [...html.matchAll(inlineScript)].map(
    ([, script]) =>
      `'sha256-${createHash("sha256")
        .update(script ?? "")
        .digest("base64")}'`
  )
  return [
    "default-src 'none'",
    `script-src ${hashes.join(" ")}`,
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
}

/** Loaded when it is first asked for: the page's program is over a megabyte, which no start need read. */
const swagger = Effect.promise(() => import("@effect/platform/HttpApiSwagger"))

/** The documents of a contract as a page that embeds all it needs (Swagger UI). */
export const docsPage = (api: AnyApi) =>
  Effect.gen(function* () {
    const { layer } = yield* swagger
    const contract = Layer.succeed(HttpApi.Api, { api, context: Context.empty() })
    const router = yield* Layer.build(
      layer({ path: "/docs" }).pipe(Layer.provide(contract), Layer.provideMerge(HttpApiBuilder.Router.Live))
    )
    const app = yield* HttpRouter.toHttpApp(yield* Context.get(router, HttpApiBuilder.Router).router)
    const response = yield* app
    const { body } = response
    if (body._tag !== "Uint8Array") return response
    return HttpServerResponse.setHeaders(response, {
      "content-security-policy": policyOf(Buffer.from(body.body).toString("utf8")),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache"
    })
  }).pipe(Effect.scoped, Effect.orDie)
