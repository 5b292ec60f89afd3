import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { explain, maximumRules } from "../../../src/gatekeeper/policy/Explanation.ts"
import { decide } from "../../../src/gatekeeper/policy/Policy.ts"
import { policyOf } from "../../support/Policies.ts"

const policy = policyOf(
  {
    one: [
      ["read", "vaults/*"],
      ["read", "vaults/public"],
      ["read", "vaults/secret/*", "deny"]
    ],
    two: [["*", "vaults/public", "deny"]]
  },
  { Scout: ["one"], Restricted: ["one", "two"], Twice: ["one", "one"] }
)

const whyOf = (ghostId: string, action: string, resource: string) =>
  explain(policy, { ghostId, action, resource }).rules.map(({ why }) => why)

describe("explain", () => {
  it("says of each rule why it decides or does not", () => {
    expect(whyOf("Scout", "read", "vaults/public")).toEqual([
      "the first that matches and allows",
      "it matches, but one#1 came first",
      'the resource does not lie below "vaults/secret"'
    ])
    expect(whyOf("Restricted", "read", "vaults/public")).toEqual([
      "it matches, but two#1 denies, and that wins",
      "it matches, but two#1 denies, and that wins",
      'the resource does not lie below "vaults/secret"',
      "the first that matches and denies"
    ])
    expect(whyOf("Scout", "write", "vaults")).toEqual([
      'the action is not "read"; "vaults/*" is what lies below "vaults", not "vaults" itself',
      'the action is not "read"; the resource is not "vaults/public"',
      'the action is not "read"; the resource does not lie below "vaults/secret"'
    ])
    expect(whyOf("Stranger", "read", "vaults/public")).toEqual([])
  })

  it("says which name ${ghost} is", () => {
    const own = policyOf(
      {
        own: [
          ["read", "history/${ghost}"],
          ["read", "sessions/${ghost}/*"]
        ]
      },
      { Scout: ["own"] }
    )
    const { rules } = explain(own, { ghostId: "Scout", action: "read", resource: "history/Librarian" })
    expect(rules.map(({ why }) => why)).toEqual([
      'the resource is not "history/${ghost}", where ${ghost} is "Scout"',
      'the resource does not lie below "sessions/${ghost}", where ${ghost} is "Scout"'
    ])
  })

  it("considers a rule once, also of a group that the ghost is mapped to twice", () => {
    expect(whyOf("Twice", "read", "vaults/public")).toEqual(whyOf("Scout", "read", "vaults/public"))
  })

  it("is bounded where a group has ten thousand rules: the deciding rule, those that match, then others, in their order", () => {
    const many = policyOf(
      {
        crowd: Array.from({ length: 10_000 }, (_, index) =>
          index === 9_999
            ? ["read", "vaults/a", "deny"]
            : index % 1_000 === 500
              ? ["read", "vaults/*"]
              : ["read", `vaults/b${index}`]
        )
      },
      { Scout: ["crowd"] }
    )
    const { omitted, rules } = explain(many, { ghostId: "Scout", action: "read", resource: "vaults/a" })
    expect(rules.length).toBe(maximumRules)
    expect(omitted).toBe(10_000 - rules.length)
    expect(rules.at(-1)).toMatchObject({ rule: 10_000, decides: true })
    expect(rules.filter(({ matches }) => matches).map(({ rule }) => rule)).toEqual([
      ...Array.from({ length: 10 }, (_, index) => index * 1_000 + 501),
      10_000
    ])
    expect(rules.map(({ rule }) => rule)).toEqual(rules.map(({ rule }) => rule).toSorted((one, other) => one - other))
  })

  it("explains the decision that is made: one rule decides where one matched, and none where none did", () => {
    const fc = FastCheck
    fc.assert(
      fc.property(
        fc.constantFrom("Scout", "Restricted", "Twice", "Stranger"),
        fc.constantFrom("read", "write"),
        fc.constantFrom("vaults", "vaults/a", "vaults/public", "vaults/secret/a", "tools"),
        (ghostId, action, resource) => {
          const { decision, rules } = explain(policy, { ghostId, action, resource })
          expect(decision).toEqual(decide(policy, { ghostId, action, resource }))
          const deciding = rules.filter(({ decides }) => decides).map(({ group, rule }) => ({ group, rule }))
          expect(deciding).toEqual(decision.matched === null ? [] : [decision.matched])
          expect(rules.some(({ matches }) => matches)).toBe(decision.matched !== null)
        }
      )
    )
  })
})
