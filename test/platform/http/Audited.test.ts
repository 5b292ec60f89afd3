import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ApiError } from "../../../src/contracts/ApiError.ts"
import { optionalBody } from "../../../src/contracts/Endpoint.ts"
import { Limit, Name, Parameter } from "../../../src/contracts/Fields.ts"
import { type Access, auditedBy, auditedRoutes } from "../../../src/platform/http/Audited.ts"
import { Refusal } from "../../../src/platform/http/ErrorResponse.ts"

interface Row {
  readonly event: string
  readonly resource: string
  readonly said: string
}

class Rows extends Context.Tag("test/Rows")<Rows, Array<Row>>() {}

/** Allows everything but the resource `secret`; each request leaves one row. */
class TestAccess extends Context.Tag("test/TestAccess")<
  TestAccess,
  Access<{ readonly name: string }, { readonly reason: string }>
>() {
  static readonly layer = Layer.effect(
    TestAccess,
    Effect.map(Rows, (rows) => {
      const refuse = (event: string, resource: string, code: Refusal["code"], message: string) =>
        Effect.suspend(() => {
          rows.push({ event, resource, said: `${code}: ${message}` })
          return new Refusal({ code, message, auditId: "row-0" })
        })
      return TestAccess.of({
        authorize: ({ event, resource }) =>
          resource === "secret"
            ? refuse(event, resource, "access_denied", "not yours")
            : Effect.succeed({
                caller: { name: "Scout" },
                compensate: ({ reason }) =>
                  Effect.sync(() => {
                    rows.push({ event, resource, said: `taken back: ${reason}` })
                  }),
                settle: (run) =>
                  Effect.matchEffect(
                    Effect.tapDefect(run, () => Effect.sync(() => rows.push({ event, resource, said: "a fault" }))),
                    {
                      onFailure: ({ code, message }) => refuse(event, resource, code, message),
                      onSuccess: (reply) =>
                        Effect.sync(() => {
                          rows.push({ event, resource, said: reply.reason })
                          return { reply, auditId: "row-1" }
                        })
                    }
                  )
              }),
        refuseMalformed: ({ event, resource }, { code, message }) => refuse(event, resource, code, message),
        refuse: ({ event, resource }, { code, message }) => refuse(event, resource, code, message)
      })
    })
  )
}

const audited = auditedBy(TestAccess)

class Gone extends ApiError("Gone", "session_not_found") {}

const Thing = Schema.Struct({ name: Schema.String, at: Schema.Number })

const put = HttpApiEndpoint.put("put", "/things/:name")
  .setPath(Schema.Struct({ name: Name(300) }))
  .setUrlParams(Schema.Struct({ limit: Limit(7), mark: Schema.optional(Parameter("a mark")) }))
  .setPayload(Schema.Struct({ at: Schema.optionalWith(Schema.Number, { default: () => 1 }) }))
  .addSuccess(Thing)
  .addSuccess(Thing, { status: 201 })
  .addError(Gone.body)
  .annotateContext(optionalBody)

const del = HttpApiEndpoint.del("del", "/things/:name")
  .setPath(Schema.Struct({ name: Schema.String }))
  .setPayload(Schema.Struct({ why: Schema.String }))
  .addSuccess(Thing)
  .addError(Gone.body)

const routes = Effect.all(
  [
    audited(put, {
      event: "thing.put",
      action: "write",
      fallbackResource: "things",
      target: ({ path: { name }, payload: { at }, urlParams: { limit } }) =>
        Effect.succeed({
          resource: name === "secret" ? name : `things/${name === "long" ? "x".repeat(250) : name}`,
          run: ({ name: caller }) => {
            if (name === "throws") throw new Error("a fault")
            return Effect.succeed({
              status: name === "new" ? 201 : name === "odd" ? 202 : 200,
              body: { name: `${name} of ${caller}`, at },
              reason: `limit ${limit}`
            })
          }
        })
    }),
    audited(del, {
      event: "thing.del",
      action: "write",
      fallbackResource: "things",
      target: ({ path: { name } }) =>
        name === "lost"
          ? Effect.fail(new Gone({ reason: "it is not there" }))
          : name === "broken"
            ? Effect.dieMessage("a fault")
            : Effect.succeed({ resource: name, run: () => Effect.fail(new Gone({ reason: "it has gone" })) })
    })
  ],
  { discard: true }
)

const serving = (rows: Array<Row>) =>
  Layer.unwrapEffect(Effect.map(HttpApiBuilder.Router.router, (router) => HttpServer.serve(router))).pipe(
    Layer.provide(auditedRoutes(routes)),
    Layer.provide(HttpApiBuilder.Router.Live),
    Layer.provide(Layer.provide(TestAccess.layer, Layer.succeed(Rows, rows))),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )

const asked = (method: "PUT" | "DELETE", url: string, body?: string) =>
  Effect.gen(function* () {
    const rows: Array<Row> = []
    return yield* Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const request = HttpClientRequest.make(method)(url).pipe(
        HttpClientRequest.setHeader("x-request-id", "r"),
        body === undefined ? (one) => one : HttpClientRequest.bodyText(body, "text/plain")
      )
      const { headers, json, status } = yield* client.execute(request)
      return { status, headers, body: yield* json, rows }
    }).pipe(Effect.provide(Layer.fresh(serving(rows))))
  })

/** The status alone: the answer to a defect has no body here. */
const status = (method: "PUT" | "DELETE", url: string, rows: Array<Row> = []) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => client.execute(HttpClientRequest.make(method)(url))).pipe(
    Effect.map((response) => response.status),
    Effect.provide(Layer.fresh(serving(rows)))
  )

describe("audited", () => {
  it.scopedLive("decodes a request, runs its operation and answers with the row's id", () =>
    Effect.gen(function* () {
      const { body, headers, rows, status } = yield* asked("PUT", "/things/a?limit=5", '{"at":3}')
      expect([status, body]).toEqual([200, { name: "a of Scout", at: 3 }])
      expect(headers).toMatchObject({ "x-audit-id": "row-1", "cache-control": "no-store" })
      expect(rows).toEqual([{ event: "thing.put", resource: "things/a", said: "limit 5" }])
    })
  )

  it.scopedLive("reads null as a body that was left out, where it may be", () =>
    Effect.gen(function* () {
      expect((yield* asked("PUT", "/things/a", "null")).body).toEqual({ name: "a of Scout", at: 1 })
      expect((yield* asked("DELETE", "/things/a", "null")).status).toBe(422)
    })
  )

  it.scopedLive("answers with the success that the operation names, and with none that is not declared", () =>
    Effect.gen(function* () {
      expect((yield* asked("PUT", "/things/new")).status).toBe(201)
      expect(yield* status("PUT", "/things/odd")).toBe(500)
    })
  )

  it.scopedLive("records what is malformed, with what is wrong with each part", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 200 }, (_, index) => `x${index}=1`).join("&")
      const cases = [
        ["PUT", "/things/a%2Fb", undefined, '"name" must not hold "/"'],
        [
          "PUT",
          "/things/a?limit=0&mark=1&mark=2",
          undefined,
          '"limit" must be an integer from 1 to 1000; "mark" is given more than once'
        ],
        ["PUT", "/things/a?limt=5", undefined, 'unknown parameter "limt"; known: limit, mark'],
        ["PUT", `/things/a?${many}`, undefined, expect.stringMatching(/^unknown parameter "x0".*; and 197 more$/)],
        ["PUT", "/things/a", "{", expect.stringContaining("the request body is not JSON")],
        ["PUT", "/things/a", "[]", "the request body must be a JSON object"],
        ["DELETE", "/things/a", undefined, "the request body is not JSON: it is empty"],
        ["DELETE", "/things/a", "{}", '"why" is missing'],
        ["PUT", "/things/a", '{"At":3}', 'unknown field "At"; known: at'],
        ["DELETE", "/things/a", '{"why":"hunter2x"}'.replace('"hunter2x"', "7"), '"why" is not valid'],
        ["PUT", "/things/long", undefined, expect.stringContaining("has 257 characters; at most 255")]
      ] as const
      for (const [method, url, body, message] of cases) {
        const answer = yield* asked(method, url, body)
        expect([url, answer.status, answer.body]).toEqual([
          url,
          422,
          { error: { code: "invalid_request", message, request_id: "r", audit_id: "row-0" }, detail: message }
        ])
        expect(answer.rows.map(({ resource }) => resource)).toEqual(["things"])
      }
    })
  )

  it.scopedLive("refuses a body over its limit with 413", () =>
    Effect.gen(function* () {
      const { rows, status } = yield* asked("PUT", "/things/a", JSON.stringify({ at: 1, much: "x".repeat(70_000) }))
      expect([status, rows.length]).toEqual([413, 1])
    })
  )

  it.scopedLive("answers a refusal and a failure with their codes' statuses and the row's id", () =>
    Effect.gen(function* () {
      const denied = yield* asked("PUT", "/things/secret")
      expect([denied.status, denied.headers["x-audit-id"]]).toEqual([403, "row-0"])
      for (const [name, resource] of [
        ["lost", "things"],
        ["a", "a"]
      ] as const) {
        const { rows, status } = yield* asked("DELETE", `/things/${name}`, '{"why":"it"}')
        expect([name, status, rows.map((row) => row.resource)]).toEqual([name, 404, [resource]])
      }
    })
  )

  it.scopedLive(
    "takes back what was done for a reply that cannot be encoded, and records what an operation throws",
    () =>
      Effect.gen(function* () {
        const odd: Array<Row> = []
        expect(yield* status("PUT", "/things/odd", odd)).toBe(500)
        expect(odd.map(({ said }) => said)).toEqual(["taken back: limit 7", "a fault"])
        const thrown: Array<Row> = []
        expect(yield* status("PUT", "/things/throws", thrown)).toBe(500)
        expect(thrown).toEqual([{ event: "thing.put", resource: "things/throws", said: "a fault" }])
      })
  )

  it.scopedLive("records a defect that comes before the authorisation", () =>
    Effect.gen(function* () {
      const rows: Array<Row> = []
      yield* Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        yield* client.execute(
          HttpClientRequest.del("/things/broken").pipe(HttpClientRequest.bodyText('{"why":"it"}', "text/plain"))
        )
      }).pipe(Effect.provide(Layer.fresh(serving(rows))))
      expect(rows).toMatchObject([
        { resource: "things", said: "internal_error: the service failed, and nothing was done" }
      ])
    })
  )
})
