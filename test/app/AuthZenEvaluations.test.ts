import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { askAs, authZenProgram, decisionsOf, record, rowsOfRequest, several, user } from "../support/AuthZen.ts"

layer(authZenProgram("authzen-policy.yaml"), { timeout: "60 seconds", excludeTestServices: true })(
  "AuthZEN 1.0: Access Evaluations",
  (it) => {
    const ask = askAs("Enforcer")
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
        "permit_on_first_permit after denials, and no further",
        {
          ...alice,
          evaluations: [documents[1], {}, documents[0], documents[2]],
          options: { evaluations_semantic: "permit_on_first_permit" }
        },
        [false, false, true]
      ],
      [
        "permit_on_first_permit where nothing is permitted",
        {
          ...alice,
          evaluations: [documents[1], documents[1]],
          options: { evaluations_semantic: "permit_on_first_permit" }
        },
        [false, false]
      ],
      [
        "deny_on_first_deny, where a malformed evaluation is a denial",
        {
          ...alice,
          evaluations: [documents[0], {}, documents[2]],
          options: { evaluations_semantic: "deny_on_first_deny" }
        },
        [true, false]
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
        "an empty evaluation uses all defaults; an entity is replaced as a whole",
        {
          subject: user("alice"),
          action: { name: "write" },
          resource: record("record-1", { status: "active" }),
          evaluations: [{}, { resource: record("record-2", { status: "archived" }) }]
        },
        [true, false]
      ],
      [
        "a malformed evaluation is a denial among the others",
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

    it.effect("behaves as the single endpoint without evaluations, and with an empty list", () =>
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

    it.effect("says what is wrong with a malformed evaluation", () =>
      Effect.gen(function* () {
        const answer = yield* ask(several, { ...alice, evaluations: [{}] })
        expect(answer.body).toMatchObject({
          evaluations: [{ decision: false, context: { error: { status: 400, message: '"resource" is missing' } } }]
        })
      })
    )

    const malformed: ReadonlyArray<readonly [string, object]> = [
      ["an unknown semantic", { ...alice, evaluations: documents, options: { evaluations_semantic: "first" } }],
      ["options that are a list", { ...alice, evaluations: documents, options: [] }],
      ["evaluations that are not a list", { ...alice, evaluations: {} }],
      ["more than a hundred", { ...alice, evaluations: Array.from({ length: 101 }, () => ({})) }],
      ["a default that is not an object", { ...alice, subject: "alice", evaluations: documents }]
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
  }
)
