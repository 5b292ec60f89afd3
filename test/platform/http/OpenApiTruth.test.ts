import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ServiceName, serviceNames } from "../../../src/domain/Service.ts"
import { Gravitas, request, tokenOf } from "../../support/Gravitas.ts"
import { untoldIn } from "../../support/OpenApiReading.ts"

const question = {
  subject: { type: "agent", id: "Scout" },
  action: { name: "read" },
  resource: { type: "vaults", id: "public" }
}
const session = { session_id: "truth-1" }

/** Each operation once, as a ghost that may do everything asks it; in this order. Path, body, and the path where it has parameters. */
const asked: ReadonlyArray<readonly [ServiceName, method: string, path: string, body?: unknown, sent?: string]> = [
  ["gatekeeper", "POST", "/validate", { resource: "a" }],
  ["gatekeeper", "GET", "/audit/events", undefined, "/audit/events?limit=5"],
  ["gatekeeper", "GET", "/audit/pipeline"],
  ["gatekeeper", "GET", "/policy"],
  ["gatekeeper", "POST", "/policy/reload"],
  ["gatekeeper", "POST", "/explain", { resource: "a", ghost_id: "Scout" }],
  ["gatekeeper", "POST", "/access/v1/evaluation", question],
  [
    "gatekeeper",
    "POST",
    "/access/v1/evaluations",
    { ...question, evaluations: [{}, { action: { name: "write" } }, { resource: {} }] }
  ],
  ["gatekeeper", "GET", "/.well-known/authzen-configuration"],
  ["gatekeeper", "POST", "/audit/events", { events: [{ id: "truth", action: "a", resource: "b" }, { id: "truth" }] }],
  ["gatekeeper", "POST", "/ghosts/{ghost}/stop", { reason: "truth" }, "/ghosts/Truth/stop"],
  ["gatekeeper", "POST", "/ghosts/{ghost}/resume", undefined, "/ghosts/Truth/resume"],
  ["gatekeeper", "GET", "/stops"],
  ["gatekeeper", "POST", "/tokens", { ghost_id: "Scout" }],
  ["guardian", "POST", "/certificates", { agent: "Supervisor_Managed_Agent" }],
  ["guardian", "GET", "/certificates"],
  ["guardian", "POST", "/validate", { agent: "Supervisor_Managed_Agent" }],
  ["guardian", "POST", "/session/start", { agent: "Supervisor_Managed_Agent", ...session, metadata: { a: [1, null] } }],
  ["guardian", "POST", "/session/heartbeat", session],
  ["guardian", "GET", "/sessions", undefined, "/sessions?active=true"],
  ["guardian", "POST", "/session/end", session],
  ["guardian", "POST", "/sessions/keep", { alive: [{ agent: "Supervisor_Managed_Agent", session_id: "truth" }] }],
  ["guardian", "GET", "/stats"],
  ["guardian", "PUT", "/badges/{ghost}/{badge}", undefined, "/badges/Scout/first"],
  ["guardian", "GET", "/badges/{ghost}/{badge}", undefined, "/badges/Scout/first"],
  ["guardian", "GET", "/badges/{ghost}", undefined, "/badges/Scout"],
  ["guardian", "DELETE", "/badges/{ghost}/{badge}", undefined, "/badges/Scout/first"],
  ["guardian", "GET", "/.well-known/jwks.json"],
  ["router", "POST", "/v1/chat/completions", { model: "echo", messages: [{ role: "user", content: "which shelf?" }] }],
  ["router", "GET", "/v1/models"],
  ["router", "GET", "/v1/models/{id}", undefined, "/v1/models/echo"],
  ["router", "GET", "/v1/history", undefined, "/v1/history?ghost=Supervisor_Managed_Agent"],
  ...serviceNames.flatMap((service) =>
    ["/healthz", "/readyz", "/health", "/openapi.json"].map((path) => [service, "GET", path] as const)
  )
]

/** Asked of another test each: no JSON, a body of its own protocol, a name that only an answer tells. */
const elsewhere = [
  "GET /docs",
  "GET /metrics",
  "POST /audit/store/{operation}",
  "POST /oauth/token",
  "POST /certificates/{id}/revoke"
]

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("what a service documents", (it) => {
  for (const [service, method, path, body, sent = path] of asked) {
    it.effect(`${service}, ${method} ${path}: is what it answers, without a token too`, () =>
      Effect.gen(function* () {
        const url = yield* (yield* Gravitas).program.url(service)
        const { body: document } = yield* request(`${url}/openapi.json`)
        const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
        const options = { method, ...(body === undefined ? {} : { body }) }
        for (const more of [{ token }, {}]) {
          const answer = yield* request(`${url}${sent}`, { ...options, ...more })
          if ("token" in more) expect([answer.status, answer.body]).toEqual([expect.toSatisfy(isSuccess), answer.body])
          const contentType = answer.headers.get("content-type") ?? ""
          expect(untoldIn(document, { method, path }, { ...answer, contentType })).toEqual([])
        }
      })
    )
  }

  for (const service of serviceNames) {
    it.effect(`${service}: is asked for here, all of it`, () =>
      Effect.gen(function* () {
        const url = yield* (yield* Gravitas).program.url(service)
        const { body } = yield* request(`${url}/openapi.json`)
        const told = Object.entries(isObject(body["paths"]) ? body["paths"] : {}).flatMap(([path, methods]) =>
          Object.keys(isObject(methods) ? methods : {}).map((method) => `${method.toUpperCase()} ${path}`)
        )
        const here = asked.flatMap(([of, method, path]) => (of === service ? [`${method} ${path}`] : []))
        expect(told.filter((one) => !here.includes(one) && !elsewhere.includes(one))).toEqual([])
      })
    )
  }
})

const isSuccess = (status: unknown) => typeof status === "number" && status >= 200 && status < 300
