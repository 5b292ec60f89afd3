import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { decide, type Permission, type Policy, type PolicyQuestion } from "../../../src/gatekeeper/policy/Policy.ts"
import { indexPolicy } from "../../../src/gatekeeper/policy/PolicyIndex.ts"
import { policyOf } from "../../support/Policies.ts"

const fc = FastCheck

/** Few words, so that patterns and questions meet; the odd ones are where segments and strings could be taken for each other. */
const segment = fc.constantFrom("a", "b", "ab", "", "c", "constructor", "__proto__", "A", "ä")
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"))
const pattern = fc.oneof(
  { weight: 4, arbitrary: path },
  { weight: 4, arbitrary: path.map((text) => `${text}/*`) },
  { weight: 1, arbitrary: fc.constant("*") }
)
const action = fc.constantFrom("read", "write", "*", "constructor")
const permission: FastCheck.Arbitrary<Permission> = fc.record({
  action,
  resource: pattern.filter((text) => text !== ""),
  effect: fc.constantFrom("allow", "allow", "deny")
})
const groupNames = ["g1", "g2", "g3", "__proto__"] as const
const ghostNames = ["Scout", "Librarian", "constructor"] as const
const mapped = fc.array(fc.constantFrom(...groupNames), { maxLength: 5 })

const policy: FastCheck.Arbitrary<Policy> = fc.record({
  version: fc.constant("random"),
  resourcePaths: fc.constant(new Map()),
  groups: fc
    .tuple(...groupNames.map(() => fc.array(permission, { maxLength: 8 })))
    .map((lists) => new Map(groupNames.map((name, index) => [name, lists[index] ?? []]))),
  ghostMappings: fc
    .tuple(...ghostNames.map(() => mapped))
    .map((lists) => new Map(ghostNames.map((name, index) => [name, lists[index] ?? []])))
})

const question: FastCheck.Arbitrary<PolicyQuestion> = fc.record({
  ghostId: fc.constantFrom(...ghostNames, "Stranger"),
  action: fc.constantFrom("read", "write", "execute", "*", "constructor"),
  resource: fc.oneof({ weight: 5, arbitrary: path }, { weight: 1, arbitrary: pattern }, fc.string())
})

describe("indexPolicy", () => {
  it("decides as the linear scan does: the same answer, rule and reason, for any policy and question", () => {
    fc.assert(
      fc.property(policy, fc.array(question, { minLength: 1, maxLength: 10 }), (some, questions) => {
        const index = indexPolicy(some)
        for (const one of questions) expect(index.decide(one)).toEqual(decide(some, one))
      }),
      { numRuns: 2_000 }
    )
  })

  it("lets a deny win over whatever allows", () => {
    fc.assert(
      fc.property(policy, question, (some, asked) => {
        const denying: Policy = {
          ...some,
          groups: new Map([
            ...some.groups,
            ["denying", [{ action: asked.action, resource: asked.resource, effect: "deny" } as const]]
          ]),
          ghostMappings: new Map([[asked.ghostId, [...(some.ghostMappings.get(asked.ghostId) ?? []), "denying"]]])
        }
        expect(indexPolicy(denying).decide(asked).allowed).toBe(false)
      })
    )
  })

  it("lets no other spelling of a path's slashes out of a deny", () => {
    const word = fc.constantFrom("a", "b", "ab")
    const slashes = fc.constantFrom("/", "//", "///")
    const edge = fc.constantFrom("", "/", "//")
    const spelt = fc.array(fc.tuple(word, slashes), { minLength: 2, maxLength: 4 })
    fc.assert(
      fc.property(spelt, edge, edge, edge, fc.boolean(), (segments, before, ruleBefore, ruleAfter, isAbove) => {
        const words = segments.map(([one]) => one)
        const rule = ruleBefore + (isAbove ? `${words.slice(0, -1).join("/")}/*` : words.join("/") + ruleAfter)
        const denying = policyOf({ all: [["*", "*"]], not: [["*", rule, "deny"]] }, { Scout: ["all", "not"] })
        const resource = before + segments.map(([one, slash]) => one + slash).join("")
        expect(indexPolicy(denying).decide({ ghostId: "Scout", action: "read", resource }).allowed).toBe(false)
      })
    )
  })

  it("is not moved by a rule that has nothing to do with the question", () => {
    fc.assert(
      fc.property(policy, question, permission, fc.constantFrom(...groupNames), (some, asked, extra, group) => {
        const resource = extra.resource === "*" ? "unrelated/*" : `unrelated/${extra.resource}`
        const unrelated: Permission = { ...extra, resource }
        const more: Policy = {
          ...some,
          groups: new Map([...some.groups, [group, [...(some.groups.get(group) ?? []), unrelated]]])
        }
        expect(indexPolicy(more).decide(asked)).toEqual(indexPolicy(some).decide(asked))
      })
    )
  })

  it("reports the first rule in the order of the ghost's groups, not in that of the file", () => {
    const some = policyOf(
      { one: [["read", "a/*"]], two: [["*", "a/b"]] },
      { First: ["one", "two"], Second: ["two", "one"] }
    )
    const index = indexPolicy(some)
    const asked = { action: "read", resource: "a/b" }
    expect(index.decide({ ...asked, ghostId: "First" }).matched).toEqual({ group: "one", rule: 1 })
    expect(index.decide({ ...asked, ghostId: "Second" }).matched).toEqual({ group: "two", rule: 1 })
  })
})
