import { createHash } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import * as Effect from "effect/Effect"
import { GatekeeperApi } from "../../../src/contracts/gatekeeper/GatekeeperApi.ts"
import { GuardianApi } from "../../../src/contracts/guardian/GuardianApi.ts"
import { RouterApi } from "../../../src/contracts/router/RouterApi.ts"
import { serviceNames } from "../../../src/domain/Service.ts"
import { routesOf } from "../../../src/platform/http/FallbackResponses.ts"
import { Gravitas, request, tokenOf } from "../../support/Gravitas.ts"

interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly requestBody?: unknown
  readonly parameters: ReadonlyArray<{ readonly schema: unknown }>
  readonly security: ReadonlyArray<unknown>
  readonly responses: Readonly<Record<string, { readonly description: string }>>
}

interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly securitySchemes: unknown
    readonly schemas: Readonly<Record<string, { readonly description?: string }>>
  }
  readonly tags: ReadonlyArray<{ readonly name: string; readonly description?: string }>
}

const routes = {
  gatekeeper: routesOf(GatekeeperApi),
  guardian: routesOf(GuardianApi),
  router: routesOf(RouterApi)
}

const raw = (url: string) =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** The codes that the description of an answer names, each with what it means. */
const codesOf = (description = "") => [...description.matchAll(/`(\w+)`: [a-zA-Z]/g)].map(([, code]) => code)

const documentOf = (url: string) =>
  Effect.map(request(`${url}/openapi.json`), ({ body }) => body as unknown as Document)

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("the documents of a service", (it) => {
  for (const service of serviceNames) {
    it.effect(`${service}: /openapi.json is valid OpenAPI 3.1, and names every route that is answered`, () =>
      Effect.gen(function* () {
        const url = yield* (yield* Gravitas).program.url(service)
        const answer = yield* request(`${url}/openapi.json`)
        expect(answer.status).toBe(200)
        const validator = new Validator()
        const validated = yield* Effect.promise(() => validator.validate(structuredClone(answer.body)))
        expect(validated.errors ?? []).toEqual([])
        expect(validated.valid).toBe(true)
        expect(validator.version).toBe("3.1")
        const document = answer.body as unknown as Document
        expect(document.info.title).toMatch(/^Gravitas (Gatekeeper|Guardian|Router)$/)
        expect(document.info.version).toMatch(/^\d+\.\d+\.\d+/)
        const told = Object.entries(document.paths).flatMap(([path, methods]) =>
          Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
        )
        const contract = [...routes[service]].flatMap(([path, methods]) =>
          methods.map((method) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`)
        )
        const about = ["GET /openapi.json", "GET /docs", "GET /metrics"]
        expect(told.toSorted()).toEqual([...contract, ...about].toSorted())
        for (const methods of Object.values(document.paths)) {
          for (const { description, parameters, requestBody, responses, security, summary } of Object.values(methods)) {
            expect(security).toEqual("401" in responses ? [{ bearer: [] }] : [])
            expect(responses).toHaveProperty("default")
            expect("413" in responses).toBe(requestBody !== undefined)
            expect(summary).toMatch(/\w/)
            expect(description).toMatch(/\w/)
            for (const one of parameters) expect(one).toHaveProperty("description")
            for (const one of Object.values(responses)) expect(one.description).not.toBe("Success")
          }
        }
        expect(document.components.securitySchemes).toMatchObject({ bearer: { type: "http", scheme: "bearer" } })
        expect(document.components.schemas).not.toHaveProperty("HttpApiDecodeError")
        for (const [name, schema] of Object.entries(document.components.schemas)) {
          expect(schema.description, name).toMatch(name.startsWith("Error_") ? /^`\w+`: / : /\w/)
        }
        for (const tag of document.tags) expect(tag.description, tag.name).toMatch(/\w/)
      })
    )

    it.effect(`${service}: /docs embeds all that it needs, and its policy lets in nothing else`, () =>
      Effect.gen(function* () {
        const url = yield* (yield* Gravitas).program.url(service)
        const page = yield* raw(`${url}/docs`)
        expect(page.status).toBe(200)
        expect(page.headers.get("content-type")).toContain("text/html")
        expect(page.text).not.toMatch(/<(script|link|img)[^>]+(src|href)\s*=\s*["']?(https?:)?\/\//)
        const policy = page.headers.get("content-security-policy") ?? ""
        expect(policy).toContain("default-src 'none'")
        expect(policy).not.toMatch(/script-src[^;]*unsafe/)
        const scripts = [...page.text.matchAll(/<script>([\s\S]*?)<\/script>/g)]
        expect(scripts.length).toBeGreaterThan(0)
        for (const [, script] of scripts) {
          const hash = createHash("sha256")
            .update(script ?? "")
            .digest("base64")
          expect(policy).toContain(`'sha256-${hash}'`)
        }
      })
    )

    it.effect(
      `${service}: /docs and /openapi.json are compressed for a client that accepts it, and the same without`,
      () =>
        Effect.gen(function* () {
          const url = yield* (yield* Gravitas).program.url(service)
          for (const path of ["/docs", "/openapi.json"]) {
            const page = (encoding: string) =>
              Effect.promise(async () => {
                const response = await fetch(`${url}${path}`, { headers: { "accept-encoding": encoding } })
                const { headers } = response
                return {
                  encoding: headers.get("content-encoding"),
                  vary: headers.get("vary"),
                  text: await response.text()
                }
              })
            const plain = yield* page("br, gzip;q=0")
            expect(plain).toMatchObject({ encoding: null, vary: "accept-encoding" })
            expect(yield* page("br, gzip")).toEqual({ ...plain, encoding: "gzip" })
          }
        })
    )
  }

  const refusals = [
    ["gatekeeper", "/validate", "post", "422", "400", ["invalid_request"]],
    ["gatekeeper", "/access/v1/evaluation", "post", "400", "422", ["bad_request"]],
    ["gatekeeper", "/access/v1/evaluations", "post", "400", "422", ["bad_request"]],
    ["guardian", "/session/start", "post", "422", "400", ["invalid_request"]],
    [
      "router",
      "/v1/chat/completions",
      "post",
      "400",
      "422",
      ["invalid_request", "provider_rejected", "content_filter", "context_length_exceeded"]
    ],
    ["router", "/v1/history", "get", "400", "422", ["invalid_request"]]
  ] as const
  for (const [service, path, method, status, never, codes] of refusals) {
    it.effect(`${service}: ${path} says that it refuses with ${status}, as it does, and not with ${never}`, () =>
      Effect.gen(function* () {
        const url = yield* (yield* Gravitas).program.url(service)
        const { responses } = (yield* documentOf(url)).paths[path]?.[method] ?? {}
        expect(responses).toHaveProperty(status)
        expect(responses).not.toHaveProperty(never)
        expect(codesOf(responses?.[status]?.description)).toEqual(codes)
        const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
        const answer = yield* request(`${url}${path}`, { token, ...(method === "post" && { body: {} }) })
        expect(String(answer.status)).toBe(status)
      })
    )
  }

  it.effect("tells a query's parameters as texts, for one that is repeated is refused", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const operation = (yield* documentOf(gatekeeper)).paths["/audit/events"]?.["get"]
      expect(operation?.parameters.map(({ schema }) => schema)).toEqual(
        Array.from({ length: 9 }, () => ({ type: "string", description: expect.any(String) }))
      )
    })
  )

  it.effect("names each code of a status that has several", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const { body } = yield* request(`${gatekeeper}/openapi.json`)
      const document = body as unknown as Document
      expect(codesOf(document.paths["/audit/events"]?.["get"]?.responses["503"]?.description)).toEqual([
        "keys_unavailable",
        "audit_unavailable",
        "trail_unreachable"
      ])
    })
  )

  it.effect("are pages like others to the rest: 405, and the request id", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const answer = yield* request(`${gatekeeper}/openapi.json`, { method: "DELETE" })
      expect(answer.status).toBe(405)
      expect(answer.headers.get("allow")).toBe("GET")
      expect((yield* raw(`${gatekeeper}/docs`)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  )
})
