import { join } from "node:path"
import { describe, expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Answer, Gravitas, request, rowsOf, tokenOf } from "../support/Gravitas.ts"

const fixture = (name: string): string => join(import.meta.dirname, "../gatekeeper/fixtures", name)

/** Asks as the policy enforcement point `caller`. */
const askAs =
  (caller: string) =>
  (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const token = yield* Effect.promise(() => tokenOf(caller))
      return yield* request(`${gatekeeper}${path}`, { token, body, headers })
    })

const one = "/access/v1/evaluation"
const several = "/access/v1/evaluations"

/** The rows of a request, in their order, once there are as many. */
const rowsOfRequest = (answer: Answer, count: number) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    return yield* rowsOf(databaseUrl, "select * from gatekeeper.audit_log where request_id = $1 order by source, seq", [
      answer.headers.get("x-request-id")
    ]).pipe(Effect.repeat({ until: (rows) => rows.length === count }), Effect.timeout("3 seconds"), Effect.orDie)
  })

const decisionsOf = ({ body }: Answer): ReadonlyArray<unknown> =>
  (body["evaluations"] as ReadonlyArray<{ readonly decision: unknown }>).map(({ decision }) => decision)

layer(Gravitas.layer({ environment: { ACCESS_POLICY_PATH: fixture("authzen-policy.yaml") } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("AuthZEN 1.0", (it) => {
  const ask = askAs("Enforcer")
  const record = (id: string, properties?: object) => ({ type: "record", id, ...(properties && { properties }) })
  const user = (id: string) => ({ type: "user", id })

  describe("Access Evaluation", () => {
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
        "more properties are taken",
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
        "a subject that nobody knows",
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

    it.effect("has a row for who asked and one for whom it is about, which says who asked", () =>
      Effect.gen(function* () {
        const answer = yield* ask(
          one,
          {
            subject: { ...user("alice"), properties: { role: "x" } },
            action: { name: "write" },
            resource: record("record-2", { status: "archived" }),
            context: { asked_by: "somebody else" }
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
            context: { asked_by: "somebody else" },
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
      ["the subject that stands for nobody", { ...whole, subject: user("anonymous") }],
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
          ).pipe(Effect.repeat({ until: (found) => found.length === 1 }), Effect.timeout("3 seconds"))
          expect(rows).toHaveLength(1)
        })
      )
    }

    it.effect("asks for JSON by its content type", () =>
      Effect.gen(function* () {
        const answer = yield* ask(one, whole, { "content-type": "text/plain" })
        expect(answer.status).toBe(400)
        expect((yield* ask(one, whole, { "content-type": "application/json; charset=utf-8" })).status).toBe(200)
      })
    )

    it.effect("answers whom the policy does not let ask with 403, and whom nobody knows with 401", () =>
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
  })

  describe("Access Evaluations", () => {
    const alice = { subject: user("alice@example.com"), action: { name: "read" } }
    const documents = ["1", "2", "3"].map((id) => ({ resource: { type: "document", id } }))
    const cases: ReadonlyArray<readonly [string, object, ReadonlyArray<boolean>]> = [
      [
        "the specification's request without defaults",
        {
          evaluations: ["boxcarring.md", "subject-search.md", "resource-search.md"].map((id) => ({
            subject: user("alice@example.com"),
            action: { name: "can_read" },
            resource: { type: "document", id },
            context: { time: "2024-05-31T15:22-07:00" }
          }))
        },
        [true, true, false]
      ],
      [
        "the specification's request with defaults, one of which is overridden",
        {
          subject: user("alice@example.com"),
          context: { time: "2024-05-31T15:22-07:00" },
          action: { name: "can_read" },
          evaluations: [
            { resource: { type: "document", id: "boxcarring.md" } },
            { resource: { type: "document", id: "subject-search.md" } },
            { action: { name: "can_edit" }, resource: { type: "document", id: "resource-search.md" } }
          ]
        },
        [true, true, false]
      ],
      ["all of three, by default", { ...alice, evaluations: documents }, [true, false, true]],
      [
        "execute_all",
        { ...alice, evaluations: documents, options: { evaluations_semantic: "execute_all", another_option: "value" } },
        [true, false, true]
      ],
      [
        "deny_on_first_deny",
        { ...alice, evaluations: documents, options: { evaluations_semantic: "deny_on_first_deny" } },
        [true, false]
      ],
      [
        "permit_on_first_permit",
        { ...alice, evaluations: documents, options: { evaluations_semantic: "permit_on_first_permit" } },
        [true]
      ],
      [
        "decisions in the order of the request",
        {
          subject: user("bob"),
          resource: record("record-1"),
          evaluations: [{ action: { name: "read" } }, { action: { name: "write" } }]
        },
        [true, false]
      ],
      [
        "an evaluation that says nothing takes all from the defaults; an entity is replaced whole",
        {
          subject: user("alice"),
          action: { name: "write" },
          resource: record("record-1", { status: "active" }),
          evaluations: [{}, { resource: record("record-2", { status: "archived" }) }]
        },
        [true, false]
      ],
      [
        "one that cannot be understood is a denial among the others",
        {
          subject: user("alice"),
          action: { name: "read" },
          options: { evaluations_semantic: "execute_all" },
          evaluations: [{ resource: record("record-1") }, {}, 7, { resource: record("record-2") }]
        },
        [true, false, false, true]
      ]
    ]
    for (const [what, body, decisions] of cases) {
      it.effect(`${what}: ${decisions.join(", ")}, with a row each`, () =>
        Effect.gen(function* () {
          const answer = yield* ask(several, body)
          expect(answer.status).toBe(200)
          expect(decisionsOf(answer)).toEqual(decisions)
          expect(answer.body["decision"]).toBeUndefined()
          const rows = yield* rowsOfRequest(answer, decisions.length + 1)
          expect(rows.slice(1).map((row) => row["result"] === "ALLOWED")).toEqual(decisions)
        })
      )
    }

    it.effect("behaves as the single endpoint without evaluations, and with none", () =>
      Effect.gen(function* () {
        const single = { subject: user("alice"), action: { name: "read" }, resource: record("record-1") }
        for (const body of [single, { ...single, evaluations: [] }]) {
          const answer = yield* ask(several, body)
          expect(answer.status).toBe(200)
          expect(answer.body["decision"]).toBe(true)
          expect(answer.body["evaluations"]).toBeUndefined()
        }
        expect((yield* ask(several, { ...single, resource: undefined })).status).toBe(400)
      })
    )

    it.effect("tells of one that cannot be understood why", () =>
      Effect.gen(function* () {
        const answer = yield* ask(several, { ...alice, evaluations: [{}] })
        expect(answer.body).toMatchObject({
          evaluations: [{ decision: false, context: { error: { status: 400, message: '"resource" is missing' } } }]
        })
      })
    )

    const malformed: ReadonlyArray<readonly [string, object]> = [
      ["an unknown semantic", { ...alice, evaluations: documents, options: { evaluations_semantic: "first" } }],
      ["options that are none", { ...alice, evaluations: documents, options: [] }],
      ["evaluations that are no list", { ...alice, evaluations: {} }],
      ["more than a hundred", { ...alice, evaluations: Array.from({ length: 101 }, () => ({})) }],
      ["a default that is no object", { ...alice, subject: "alice", evaluations: documents }]
    ]
    for (const [what, body] of malformed) {
      it.effect(`answers ${what} with 400 and one row`, () =>
        Effect.gen(function* () {
          const answer = yield* ask(several, body)
          expect(answer.status).toBe(400)
          expect((yield* rowsOfRequest(answer, 1))[0]).toMatchObject({ result: "INVALID", ghost_id: "Enforcer" })
        })
      )
    }
  })

  it.effect("tells where its endpoints are, and believes no Host header about it", () =>
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
})

layer(
  Gravitas.layer({
    environment: {
      ACCESS_POLICY_PATH: fixture("todo-policy.yaml"),
      GATEKEEPER_PUBLIC_URL: "https://pdp.example.com"
    }
  }),
  { timeout: "60 seconds", excludeTestServices: true }
)("AuthZEN's interop scenario: todo", (it) => {
  const ask = askAs("Todo_Backend")
  const pid = (digit: number) => {
    const uuid = `fd${digit}614d3-c39a-4781-b7bd-8b96f5a5100d`
    return Buffer.from(`\n$${uuid}\u0012\u0005local`, "latin1").toString("base64")
  }
  const users = [
    { name: "Rick", id: pid(0), email: "rick@the-citadel.com", roles: ["admin", "evil_genius"] },
    { name: "Morty", id: pid(1), email: "morty@the-citadel.com", roles: ["editor"] },
    { name: "Summer", id: pid(2), email: "summer@the-smiths.com", roles: ["editor"] },
    { name: "Beth", id: pid(3), email: "beth@the-smiths.com", roles: ["viewer"] },
    { name: "Jerry", id: pid(4), email: "jerry@the-smiths.com", roles: ["viewer"] }
  ]
  const todo = (owner: string, index: number) => ({
    type: "todo",
    id: `7240d0db-8ff0-41ec-98b2-34a096273b9${index}`,
    properties: { ownerID: owner }
  })

  for (const { email, id, name, roles } of users) {
    const subject = { type: "user", id }
    const isEditor = roles.includes("editor")
    const mayUpdate = (owner: string) => roles.includes("evil_genius") || (isEditor && owner === email)
    const mayDelete = (owner: string) => roles.includes("admin") || (isEditor && owner === email)

    it.effect(`${name}, whose roles are ${roles.join(" and ")}, may do what the scenario says`, () =>
      Effect.gen(function* () {
        const todoOne = { type: "todo", id: "todo-1" }
        const expected: ReadonlyArray<readonly [string, object, boolean]> = [
          ...users.map((other) => ["can_read_user", { type: "user", id: other.email }, true] as const),
          ["can_read_todos", todoOne, true],
          ["can_create_todo", todoOne, !roles.includes("viewer")],
          ...users.flatMap((other, index) => [
            ["can_update_todo", todo(other.email, index), mayUpdate(other.email)] as const,
            ["can_delete_todo", todo(other.email, index), mayDelete(other.email)] as const
          ])
        ]
        for (const [action, resource, decision] of expected) {
          const answer = yield* ask("/access/v1/evaluation", { subject, action: { name: action }, resource })
          expect([action, resource, answer.body["decision"]]).toEqual([action, resource, decision])
        }
      })
    )

    it.effect(`${name} is told of all todos at once which may be completed`, () =>
      Effect.gen(function* () {
        const answer = yield* ask("/access/v1/evaluations", {
          subject,
          action: { name: "can_update_todo" },
          // The scenario sends a default that is nothing, and overrides it each time.
          resource: {},
          context: {},
          evaluations: users.map((other, index) => ({ resource: todo(other.email, index) }))
        })
        expect(decisionsOf(answer)).toEqual(users.map((other) => mayUpdate(other.email)))
      })
    )
  }

  it.effect("publishes the address that it was given", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const answer = yield* request(`${gatekeeper}/.well-known/authzen-configuration`)
      expect(answer.body["policy_decision_point"]).toBe("https://pdp.example.com")
    })
  )
})
