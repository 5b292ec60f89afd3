import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { askAs, authZenProgram, one, record, rowsOfRequest, user } from "../support/AuthZen.ts"
import { Gravitas, request, rowsOf } from "../support/Gravitas.ts"

layer(authZenProgram("authzen-policy.yaml"), { timeout: "60 seconds", excludeTestServices: true })(
  "AuthZEN 1.0: Access Evaluation",
  (it) => {
    const ask = askAs("Enforcer")
    const cases: ReadonlyArray<readonly [string, object, boolean]> = [
      ["rule 1", { subject: user("alice"), action: { name: "read" }, resource: record("record-1") }, true],
      ["rule 2", { subject: user("alice"), action: { name: "write" }, resource: record("record-1") }, true],
      ["rule 3", { subject: user("bob"), action: { name: "read" }, resource: record("record-1") }, true],
      ["rule 4", { subject: user("bob"), action: { name: "write" }, resource: record("record-1") }, false],
      [
        "rule 5, by a property of the resource",
        { subject: user("alice"), action: { name: "write" }, resource: record("record-2", { status: "archived" }) },
        false
      ],
      [
        "a context changes nothing",
        {
          subject: user("alice"),
          action: { name: "read" },
          resource: record("record-1"),
          context: { time: "2025-06-27T18:03-07:00", ip: "192.168.1.1" }
        },
        true
      ],
      [
        "more properties are accepted",
        {
          subject: { ...user("alice"), properties: { department: "Sales", role: "manager" } },
          action: { name: "read", properties: { method: "GET" } },
          resource: record("record-1", { status: "active", owner: "bob" })
        },
        true
      ],
      [
        "unknown fields are ignored",
        {
          subject: user("alice"),
          action: { name: "read" },
          resource: record("record-1"),
          foo: "bar",
          futureField: { nested: true }
        },
        true
      ],
      [
        "the specification's example request",
        {
          subject: user("alice@example.com"),
          resource: { type: "account", id: "123" },
          action: { name: "can_read", properties: { method: "GET" } },
          context: { time: "1985-10-26T01:22-07:00" }
        },
        true
      ],
      [
        "the specification's example over HTTPS",
        {
          subject: user("alice@example.com"),
          resource: { type: "todo", id: "1" },
          action: { name: "can_read" },
          context: { time: "1985-10-26T01:22-07:00" }
        },
        true
      ],
      [
        "an id of several segments",
        { subject: user("alice@example.com"), action: { name: "execute" }, resource: { type: "shells", id: "l1/x" } },
        true
      ],
      [
        "an unknown subject",
        { subject: user("mallory"), action: { name: "read" }, resource: record("record-1") },
        false
      ]
    ]
    for (const [what, body, decision] of cases) {
      it.effect(`${what}: ${decision}`, () =>
        Effect.gen(function* () {
          const answer = yield* ask(one, body)
          expect(answer.status).toBe(200)
          expect(answer.headers.get("content-type")).toContain("application/json")
          expect(answer.body["decision"]).toBe(decision)
        })
      )
    }

    it.effect("has a row for the caller and one for the subject, which names the caller", () =>
      Effect.gen(function* () {
        const answer = yield* ask(
          one,
          {
            subject: { ...user("alice"), properties: { role: "x" } },
            action: { name: "write" },
            resource: record("record-2", { status: "archived" }),
            context: { asked_by: "another ghost" }
          },
          { "x-request-id": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716" }
        )
        expect(answer.headers.get("x-request-id")).toBe("bfe9eb29-ab87-4ca3-be83-a1d5d8305716")
        expect(answer.body["context"]).toMatchObject({ matched: { group: "record_writers", rule: 3 } })
        const [caller, subject] = yield* rowsOfRequest(answer, 2)
        expect(caller).toMatchObject({
          ghost_id: "Enforcer",
          action: "execute",
          resource: "access/evaluation",
          result: "ALLOWED"
        })
        expect(subject).toMatchObject({
          id: (answer.body["context"] as { readonly audit_id: string }).audit_id,
          ghost_id: "alice",
          action: "write",
          resource: "record/archived/record-2",
          result: "DENIED",
          metadata: {
            asked_by: "Enforcer",
            context: { asked_by: "another ghost" },
            properties: { subject: { role: "x" }, resource: { status: "archived" } },
            subject_type: "user"
          }
        })
        expect(subject?.["reason"]).toMatch(/^policy [0-9a-f]{12}: group record_writers must not write/)
      })
    )

    const whole = { subject: user("alice"), action: { name: "read" }, resource: record("record-1") }
    const malformed: ReadonlyArray<readonly [string, unknown]> = [
      ["no subject", { ...whole, subject: undefined }],
      ["no action", { ...whole, action: undefined }],
      ["no resource", { ...whole, resource: undefined }],
      ["a subject without type", { ...whole, subject: { id: "alice" } }],
      ["a subject without id", { ...whole, subject: { type: "user" } }],
      ["an action without name", { ...whole, action: {} }],
      ["a resource without type", { ...whole, resource: { id: "record-1" } }],
      ["a resource without id", { ...whole, resource: { type: "record" } }],
      ["a text for the subject", { ...whole, subject: "alice" }],
      ["a number for the action's name", { ...whole, action: { name: 123 } }],
      ["a list for the context", { ...whole, context: [] }],
      ["a text for properties", { ...whole, subject: { ...user("alice"), properties: "x" } }],
      ["a property that would add a segment", { ...whole, resource: record("record-1", { status: "a/b" }) }],
      ["a type that would add a segment", { ...whole, resource: { type: "record/active", id: "record-1" } }],
      ["an id that leaves its folder", { ...whole, resource: record("../../secret") }],
      ["a subject over its length", { ...whole, subject: user("a".repeat(101)) }],
      ["the subject `anonymous`", { ...whole, subject: user("anonymous") }],
      ["a list", []],
      ["half of a body", '{"subject": {'],
      ["an empty body", ""]
    ]
    for (const [what, body] of malformed) {
      it.effect(`answers ${what} with 400, and records it`, () =>
        Effect.gen(function* () {
          const answer = yield* ask(one, body)
          expect(answer.status).toBe(400)
          expect(answer.body).toMatchObject({ error: { code: "bad_request" } })
          const { databaseUrl } = yield* Gravitas
          const rows = yield* rowsOf(
            databaseUrl,
            "select result from gatekeeper.audit_log where request_id = $1 and result = 'INVALID'",
            [answer.headers.get("x-request-id")]
          ).pipe(
            Effect.delay("20 millis"),
            Effect.repeat({ until: (found) => found.length === 1 }),
            Effect.timeout("30 seconds")
          )
          expect(rows).toHaveLength(1)
        })
      )
    }

    it.effect("requires the content type of JSON", () =>
      Effect.gen(function* () {
        const answer = yield* ask(one, whole, { "content-type": "text/plain" })
        expect(answer.status).toBe(400)
        expect((yield* ask(one, whole, { "content-type": "application/json; charset=utf-8" })).status).toBe(200)
      })
    )

    it.effect("answers 403 to a caller whom the policy does not let ask, and 401 to an unknown one", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const denied = yield* askAs("Scout")(one, whole)
        expect(denied.status).toBe(403)
        expect((yield* rowsOfRequest(denied, 1))[0]).toMatchObject({
          ghost_id: "Scout",
          resource: "access/evaluation",
          result: "DENIED"
        })
        const unknown = yield* request(`${gatekeeper}${one}`, { body: whole })
        expect(unknown.status).toBe(401)
        expect(unknown.headers.get("www-authenticate")).toContain("Bearer")
      })
    )

    it.effect("returns the URLs of its endpoints, and ignores the Host header", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const answer = yield* request(`${gatekeeper}/.well-known/authzen-configuration`)
        expect(answer.status).toBe(200)
        expect(answer.headers.get("content-type")).toContain("application/json")
        expect(answer.body).toEqual({
          policy_decision_point: gatekeeper,
          access_evaluation_endpoint: `${gatekeeper}/access/v1/evaluation`,
          access_evaluations_endpoint: `${gatekeeper}/access/v1/evaluations`
        })
      })
    )
  }
)
