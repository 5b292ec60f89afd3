import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { askAs, authZenProgram, decisionsOf, one, several } from "../support/AuthZen.ts"
import { Gravitas, request } from "../support/Gravitas.ts"

layer(authZenProgram("todo-policy.yaml", { GATEKEEPER_PUBLIC_URL: "https://pdp.example.com" }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("AuthZEN's interop scenario: todo", (it) => {
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
          const answer = yield* ask(one, { subject, action: { name: action }, resource })
          expect([action, resource, answer.body["decision"]]).toEqual([action, resource, decision])
        }
      })
    )

    it.effect(`${name} is told of all todos at once which may be completed`, () =>
      Effect.gen(function* () {
        const answer = yield* ask(several, {
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
