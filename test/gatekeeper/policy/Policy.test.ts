import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { explain } from "../../../src/gatekeeper/policy/Explanation.ts"
import { matchesResource } from "../../../src/gatekeeper/policy/Patterns.ts"
import { decide, groupsOf, type Policy } from "../../../src/gatekeeper/policy/Policy.ts"
import { indexPolicy } from "../../../src/gatekeeper/policy/PolicyIndex.ts"
import { policyOf } from "../../support/Policies.ts"

const policy: Policy = policyOf(
  {
    admin: [["*", "*"]],
    librarian: [
      ["execute", "shells/*"],
      ["read", "vaults/*"],
      ["execute", "tools/librarian/*"]
    ],
    scout: [
      ["execute", "shells/l1/*"],
      ["read", "vaults/public"]
    ],
    quarantine: [
      ["*", "shells/l1/leaky", "deny"],
      ["read", "vaults/secret/*", "deny"]
    ]
  },
  {
    Supervisor_Managed_Agent: ["admin"],
    Librarian: ["librarian"],
    Scout: ["scout"],
    Both: ["scout", "librarian"],
    Restricted: ["librarian", "quarantine"],
    Groupless: []
  }
)

describe("matchesResource", () => {
  it.each([
    ["*", "anything/at/all", true],
    ["shells/*", "shells/l1/gemma2:27b", true],
    ["shells/*", "shells/x", true],
    ["shells/*", "shells", false],
    ["shells/*", "shells/", false],
    ["shells/*", "shellsABC", false],
    ["shells/*", "shellsABC/x", false],
    ["shells/l1/*", "shells/l1/a", true],
    ["shells/l1/*", "shells/l10/a", false],
    ["vaults/public", "vaults/public", true],
    ["vaults/public", "vaults/public/x", false],
    ["vaults/public", "vaults/publicity", false]
  ])("%s on %s is %s", (pattern, resource, expected) => {
    expect(matchesResource(pattern, resource, "Scout")).toBe(expected)
  })
})

describe("decide", () => {
  it.each([
    ["Supervisor_Managed_Agent", "anything", "any/where", { group: "admin", rule: 1 }],
    ["Librarian", "execute", "shells/l3/claude", { group: "librarian", rule: 1 }],
    ["Librarian", "execute", "tools/librarian/index", { group: "librarian", rule: 3 }],
    ["Librarian", "write", "vaults/a", null],
    ["Librarian", "execute", "shellsABC", null],
    ["Scout", "execute", "shells/l1/gemma2:27b", { group: "scout", rule: 1 }],
    ["Scout", "execute", "shells/l3/claude", null],
    ["Both", "execute", "shells/l1/x", { group: "scout", rule: 1 }],
    ["Both", "read", "vaults/secret", { group: "librarian", rule: 2 }],
    ["Groupless", "read", "vaults/public", null],
    ["Stranger", "read", "vaults/public", null],
    // Map keys, never properties of an object.
    ["constructor", "read", "vaults/public", null],
    ["__proto__", "read", "vaults/public", null]
  ])("%s asks to %s %s: %o", (ghostId, action, resource, matched) => {
    const decision = decide(policy, { ghostId, action, resource })
    expect(decision.matched).toEqual(matched)
    expect(decision.allowed).toBe(matched !== null)
  })

  it.each([
    ["execute", "shells/l1/leaky", { group: "quarantine", rule: 1 }, "group quarantine must not * on shells/l1/leaky"],
    ["read", "vaults/secret/a", { group: "quarantine", rule: 2 }, "group quarantine must not read on vaults/secret/*"]
  ])("denies %s on %s by the rule that says so, though another allows it", (action, resource, matched, reason) => {
    const question = { ghostId: "Restricted", action, resource }
    expect(decide(policy, question)).toMatchObject({ allowed: false, matched, reason })
    expect(decide(policy, { ...question, ghostId: "Librarian" }).allowed).toBe(true)
  })

  it.each([
    "vaults//secret/a",
    "vaults/secret//a",
    "/vaults/secret/a",
    "vaults/secret/a/",
    "shells/l1/leaky/",
    "shells//l1/leaky"
  ])(
    "denies %s too, since programs that resolve paths read it as the denied path, and allows nothing by it",
    (resource) => {
      const action = resource.includes("vaults") ? "read" : "execute"
      const question = { ghostId: "Restricted", action, resource }
      expect(decide(policy, question)).toMatchObject({ allowed: false, matched: { group: "quarantine" } })
      expect(explain(policy, question).rules.filter(({ decides }) => decides)).toMatchObject([{ group: "quarantine" }])
      expect(decide(policy, { ghostId: "Scout", action: "read", resource: "vaults//public" }).allowed).toBe(false)
    }
  )

  it("says why it denies: no group, or no permission of the groups that there are", () => {
    expect(decide(policy, { ghostId: "Stranger", action: "read", resource: "x" }).reason).toContain("no group")
    expect(decide(policy, { ghostId: "Scout", action: "read", resource: "x" }).reason).toContain("scout")
  })

  it("gives a process of several services the groups that each of them has, unless it is mapped itself", () => {
    const groups = { store: [["write", "audit/store"]], events: [["write", "audit/events"]] } as const
    const apart = { "service:guardian": ["events", "store"], "service:router": ["store"] }
    const joint = "service:guardian+router"
    const allowed = (mapping: Readonly<Record<string, ReadonlyArray<string>>>, resource: string, ghostId = joint) => {
      const made = policyOf(groups, mapping)
      const question = { ghostId, action: "write", resource }
      expect(indexPolicy(made).decide(question)).toEqual(decide(made, question))
      return decide(made, question).allowed
    }
    expect(allowed(apart, "audit/store")).toBe(true)
    expect(allowed(apart, "audit/events")).toBe(false)
    expect(allowed({ "service:guardian": ["store"] }, "audit/store")).toBe(false)
    expect(allowed({ ...apart, [joint]: [] }, "audit/store")).toBe(false)
    expect(allowed(apart, "audit/store", "service:router+guardian")).toBe(false)
    expect(allowed(apart, "audit/store", "service:gatekeeper+router")).toBe(false)
  })

  it("gives groups by name first, then by patterns in the order of the file, each with what it inherits", () => {
    const made = policyOf(
      { base: [], agent: [], scout: [], night: [], all: [] },
      {
        "*": ["all"],
        "agent-*": ["agent"],
        "agent-7": ["scout", "agent"],
        "agent-7*": ["night"],
        "service:guardian": []
      },
      { inherits: { agent: ["base"], night: ["base", "agent"] } }
    )
    for (const [ghost, groups] of [
      ["agent-7", ["scout", "agent", "base", "all", "night"]],
      ["agent-70", ["all", "agent", "base", "night"]],
      ["agent-1", ["all", "agent", "base"]],
      ["agent-", ["all", "agent", "base"]],
      ["agent", ["all"]],
      // The services of a process each have the group.
      ["service:guardian+router", ["all"]]
    ] as const) {
      expect([ghost, groupsOf(made, ghost)]).toEqual([ghost, groups])
    }
  })

  it("gives a process of several services no group by a pattern that one of its services does not match", () => {
    const made = policyOf({ events: [] }, { "service:guardian*": ["events"] })
    expect(groupsOf(made, "service:guardian")).toEqual(["events"])
    expect(groupsOf(made, "service:guardian+router")).toEqual([])
  })

  it("allows nothing to a ghost without a mapping, whatever it asks", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.string(), FastCheck.string(), FastCheck.string(), (ghostId, action, resource) => {
        FastCheck.pre(!policy.ghostMappings.has(ghostId))
        return !decide(policy, { ghostId, action, resource }).allowed
      })
    )
  })

  it("lets a trailing /* match by whole segments only", () => {
    const segment = FastCheck.stringMatching(/^[a-z0-9]{1,8}$/)
    FastCheck.assert(
      FastCheck.property(segment, segment, (prefix, rest) => {
        expect(matchesResource(`${prefix}/*`, `${prefix}/${rest}`, "Scout")).toBe(true)
        expect(matchesResource(`${prefix}/*`, `${prefix}${rest}`, "Scout")).toBe(false)
        expect(matchesResource(`${prefix}/*`, `${prefix}${rest}/${rest}`, "Scout")).toBe(false)
      })
    )
  })
})
