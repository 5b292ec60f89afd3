import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ownSegment } from "../../../src/gatekeeper/policy/Patterns.ts"
import { decide, type Permission, type Policy, type PolicyQuestion } from "../../../src/gatekeeper/policy/Policy.ts"
import { indexPolicy } from "../../../src/gatekeeper/policy/PolicyIndex.ts"
import { policyOf, references } from "../../support/Policies.ts"

const fc = FastCheck

/** Few words, so that patterns and questions meet; the odd ones are where segments and strings could be taken for each other. */
const words = ["a", "b", "ab", "", "c", "constructor", "__proto__", "A", "ä", "Ä", "Scout", "scout", "*"] as const
const segment = fc.constantFrom(...words)
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"))
/** Paths of which a segment is `${ghost}`. */
const ownPath = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.array(segment, { maxLength: 3 }))
  .map(([before, after]) => [...before, ownSegment, ...after].join("/"))
const literal = fc.oneof({ weight: 2, arbitrary: path }, { weight: 1, arbitrary: ownPath })
const pattern = fc.oneof(
  { weight: 4, arbitrary: literal },
  { weight: 4, arbitrary: literal.map((text) => `${text}/*`) },
  { weight: 1, arbitrary: fc.constant("*") }
)
const action = fc.constantFrom("read", "write", "Read", "*", "constructor")
const permission: FastCheck.Arbitrary<Permission> = fc.record({
  action,
  resource: pattern.filter((text) => text !== ""),
  effect: fc.constantFrom("allow", "allow", "deny")
})
const groupNames = ["g1", "g2", "g3", "__proto__"] as const
/** Names and patterns of `ghost_mappings`. Some look like parts of a pattern of resources. */
const ghostNames = [
  "Scout",
  "Librarian",
  "constructor",
  "*",
  "a/b",
  "Sc*",
  "S*",
  "service:guardian",
  "service:*"
] as const
const askers = ["Scout", "scout", "Librarian", "constructor", "*", "a/b", "a", "Scope", ownSegment] as const
const services = ["service:guardian", "service:router", "service:guardian+router"] as const
const mapped = fc.array(fc.constantFrom(...groupNames), { maxLength: 5 })
const some = fc.option(mapped, { nil: undefined })
const listsOf = <Name extends string>(names: ReadonlyArray<Name>) =>
  fc.tuple(...names.map(() => some)).map((lists) =>
    references(
      names.flatMap((name, index) => {
        const list = lists[index]
        return list === undefined ? [] : [[name, list] as const]
      })
    )
  )

const policy: FastCheck.Arbitrary<Policy> = fc.record({
  version: fc.constant("random"),
  resourcePaths: fc.constant(new Map()),
  groups: fc
    .tuple(...groupNames.map(() => fc.array(permission, { maxLength: 8 })))
    .map((lists) => new Map(groupNames.map((name, index) => [name, lists[index] ?? []]))),
  inherits: listsOf(groupNames),
  ghostMappings: listsOf(ghostNames)
})

const question: FastCheck.Arbitrary<PolicyQuestion> = fc.record({
  ghostId: fc.constantFrom(...askers, ...services, "Stranger"),
  action: fc.constantFrom("read", "write", "READ", "execute", "*", "constructor"),
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
        // As a pattern it would mean another text than the question.
        FastCheck.pre(!asked.resource.includes(ownSegment))
        const denying: Policy = {
          ...some,
          groups: new Map([
            ...some.groups,
            ["denying", [{ action: asked.action, resource: asked.resource, effect: "deny" } as const]]
          ]),
          ghostMappings: new Map([
            ...some.ghostMappings,
            [asked.ghostId, [...(some.ghostMappings.get(asked.ghostId) ?? []), { group: "denying", line: 1 }]]
          ])
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

  it("lets no other case of letters out of a deny, and allows by no other case", () => {
    const spelt = policyOf(
      {
        all: [["read", "vaults/*"]],
        not: [
          ["Read", "vaults/Secret/*", "deny"],
          ["*", "vaults/straße", "deny"]
        ]
      },
      { Scout: ["all", "not"], Reader: ["all"] }
    )
    const { decide: decided } = indexPolicy(spelt)
    for (const resource of ["vaults/secret/a", "VAULTS//secret/a", "vaults/SECRET/a/", "vaults/STRASSE"]) {
      for (const one of ["read", "READ"]) {
        const question = { ghostId: "Scout", action: one, resource }
        expect(decided(question)).toMatchObject({ allowed: false, matched: { group: "not" } })
      }
    }
    expect(decided({ ghostId: "Reader", action: "read", resource: "vaults/Secret/a" }).allowed).toBe(true)
    expect(decided({ ghostId: "Reader", action: "READ", resource: "vaults/a" }).allowed).toBe(false)
    expect(decided({ ghostId: "Reader", action: "read", resource: "Vaults/a" }).allowed).toBe(false)
  })

  it("compares ${ghost} with one segment, so that a name like a pattern or a path gets nothing by it", () => {
    const own = policyOf(
      {
        own: [
          ["read", "history/${ghost}"],
          ["execute", "sessions/${ghost}/*"],
          ["write", "${ghost}"]
        ],
        not: [["*", "sessions/${ghost}/locked", "deny"]]
      },
      { Scout: ["own", "not"], "*": ["own"] }
    )
    const { decide: decided } = indexPolicy(own)
    const allowed = (ghostId: string, one: string, resource: string) => {
      const question = { ghostId, action: one, resource }
      expect(decided(question)).toEqual(decide(own, question))
      return decided(question).allowed
    }
    expect(allowed("Scout", "read", "history/Scout")).toBe(true)
    expect(allowed("Librarian", "read", "history/Librarian")).toBe(true)
    expect(allowed("Scout", "execute", "sessions/Scout/2026/1")).toBe(true)
    expect(allowed("Scout", "write", "Scout")).toBe(true)
    for (const [ghostId, one, resource] of [
      ["Scout", "read", "history/Librarian"],
      ["Scout", "read", "history/scout"],
      ["Scout", "read", "history/${ghost}"],
      ["Scout", "read", "history/Scout/x"],
      ["Scout", "execute", "sessions/Scout"],
      ["Scout", "execute", "sessions/Scout/"],
      ["Scout", "execute", "sessions/scout/LOCKED"],
      ["Scout", "execute", "Sessions//Scout/locked"],
      ["*", "read", "history/*"],
      ["*", "read", "history/Scout"],
      ["*", "execute", "sessions/*/a"],
      ["a/b", "read", "history/a/b"],
      ["a/b", "execute", "sessions/a/b/c"]
    ] as const) {
      expect([ghostId, resource, allowed(ghostId, one, resource)]).toEqual([ghostId, resource, false])
    }
  })

  it("remembers a bounded number of ghosts that only a pattern maps", () => {
    const { decide: decided } = indexPolicy(policyOf({ all: [["*", "*"]] }, { "agent-*": ["all"] }))
    const allowed = (ghostId: string) => decided({ ghostId, action: "read", resource: "a" }).allowed
    for (let number = 0; number < 10_100; number++) {
      if (!allowed(`agent-${number}`)) expect.fail(`agent-${number}`)
    }
    expect([allowed("agent-1"), allowed("agent"), allowed("Agent-1")]).toEqual([true, false, false])
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
