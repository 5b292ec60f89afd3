import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { groupsOf } from "../../../src/gatekeeper/policy/Policy.ts"
import { loadPolicy, parsePolicy } from "../../../src/gatekeeper/policy/PolicyFile.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const parsed = (text: string) => Effect.runPromise(parsePolicy(text, "policy.yaml"))

const problemsOf = (text: string): Promise<ReadonlyArray<string>> =>
  Effect.runPromise(
    Effect.match(parsePolicy(text, "policy.yaml"), {
      onFailure: ({ problems }) => problems.map(({ line, column, problem }) => `${line}:${column} ${problem}`),
      onSuccess: () => []
    })
  )

const good = `groups:
  scout:
    permissions:
      - { action: read, resource: vaults/public }
ghost_mappings:
  Scout: [scout]
`

describe("parsePolicy", () => {
  it("reads groups, permissions and mappings, and names the text by its hash", async () => {
    const policy = await parsed(good)
    expect(policy.groups.get("scout")).toEqual([{ action: "read", resource: "vaults/public", effect: "allow" }])
    expect(policy.ghostMappings.get("Scout")).toEqual([{ group: "scout", line: 6 }])
    expect(policy.version).toMatch(/^[0-9a-f]{12}$/)
    expect((await parsed(`${good}\n`)).version).not.toBe(policy.version)
  })

  it("reads what a permission denies, and how AuthZEN resources become paths", async () => {
    const text = good.replace("vaults/public }", "vaults/public, effect: deny }")
    const policy = await parsed(`${text}resource_paths:\n  todo: [ownerID]\n`)
    expect(policy.groups.get("scout")).toEqual([{ action: "read", resource: "vaults/public", effect: "deny" }])
    expect(policy.resourcePaths.get("todo")).toEqual(["ownerID"])
  })

  it("reads what groups inherit, patterns of ghosts and ${ghost}, and where each group is given", async () => {
    const policy = await parsed(`groups:
  agent: { permissions: [{ action: read, resource: "history/\${ghost}" }] }
  scout:
    inherits:
      - agent
ghost_mappings:
  "agent-*": [agent]
  Scout:
    - scout
    - agent
`)
    expect(policy.groups.get("agent")).toEqual([{ action: "read", resource: "history/${ghost}", effect: "allow" }])
    expect(policy.groups.get("scout")).toEqual([])
    expect([...policy.inherits]).toEqual([["scout", [{ group: "agent", line: 5 }]]])
    expect([...policy.ghostMappings]).toEqual([
      ["agent-*", [{ group: "agent", line: 7 }]],
      [
        "Scout",
        [
          { group: "scout", line: 9 },
          { group: "agent", line: 10 }
        ]
      ]
    ])
  })

  it("reads a chain of ten thousand groups", async () => {
    const groups = Array.from({ length: 10_000 }, (_, n) => `  g${n}: { inherits: [g${n + 1}] }\n`).join("")
    const policy = await parsed(`groups:\n${groups}  g10000: { permissions: [] }\nghost_mappings: { Scout: [g0] }\n`)
    expect(groupsOf(policy, "Scout")).toHaveLength(10_001)
  })

  it("says of a file that is nested without end that it is, wherever the reader gave up", async () => {
    expect((await problemsOf(`groups: ${"[".repeat(20_000)}`))[0]).toMatch(/^1:\d+ it is nested too deeply$/)
  })

  it.each([
    [
      "a resource that no request can match, so that a deny of it would deny nothing",
      good.replace("vaults/public }", "vaults/../secret/*, effect: deny }"),
      '4:35 groups.scout.permissions[0].resource is "vaults/../secret", which no request can match: "resource" must not have the segments "." or ".."'
    ],
    [
      "an action that no request can match",
      good.replace("action: read", `action: ${"r".repeat(101)}`),
      `4:19 groups.scout.permissions[0].action is ${JSON.stringify("r".repeat(101))}, which no request can match: "action" has 101 characters; at most 100 are allowed`
    ],
    [
      "an unknown key of a permission",
      good.replace("resource:", "resuorce:"),
      "4:25 groups.scout.permissions[0].resuorce is not a known key; known: action, resource, effect"
    ],
    [
      "an unknown key of a group",
      good.replace("permissions:", "permission:"),
      "3:5 groups.scout.permission is not a known key; known: permissions"
    ],
    [
      "an unknown key at the top",
      `${good}ghosts: {}\n`,
      "7:1 ghosts is not a known key; known: groups, ghost_mappings, resource_paths"
    ],
    ["a missing key at the top", "groups: {}\n", "1:1 ghost_mappings is missing"],
    [
      "a group that does not exist",
      good.replace("[scout]", "[scuot]"),
      "6:11 ghost_mappings.Scout[0] is scuot, which is not a group"
    ],
    [
      "a star in the middle",
      good.replace("vaults/public", "vaults/*/x"),
      '4:35 groups.scout.permissions[0].resource is "vaults/*/x", but "*"'
    ],
    [
      "a star within a segment",
      good.replace("vaults/public", "vaults*"),
      '4:35 groups.scout.permissions[0].resource is "vaults*", but "*"'
    ],
    [
      "a star in an action",
      good.replace("action: read", "action: re*"),
      '4:19 groups.scout.permissions[0].action is "re*", but "*"'
    ],
    [
      "a ghost within a segment",
      good.replace("vaults/public", '"vaults/a-${ghost}"'),
      '4:35 groups.scout.permissions[0].resource is "vaults/a-${ghost}", but "${ghost}" may only be one whole segment'
    ],
    [
      "a second ghost in a pattern",
      good.replace("vaults/public", '"${ghost}/a/${ghost}/*"'),
      '4:35 groups.scout.permissions[0].resource is "${ghost}/a/${ghost}/*", but "${ghost}" may only be one'
    ],
    [
      "another placeholder",
      good.replace("vaults/public", '"vaults/${shell}"'),
      '4:35 groups.scout.permissions[0].resource is "vaults/${shell}", but "${ghost}" may only be one'
    ],
    [
      "a ghost as an action",
      good.replace("action: read", 'action: "${ghost}"'),
      '4:19 groups.scout.permissions[0].action is "${ghost}", but "${ghost}" may only be in a resource'
    ],
    [
      "a resource in a spelling that no request can have",
      good.replace("vaults/public", "vaults/%73ecret"),
      '4:35 groups.scout.permissions[0].resource is "vaults/%73ecret", which no request can match: "resource" must not hold "%"'
    ],
    [
      "a group that inherits one that does not exist",
      good.replace("    permissions", "    inherits: [base]\n    permissions"),
      "3:16 groups.scout.inherits[0] is base, which is not a group"
    ],
    [
      "a group that inherits itself",
      good.replace("    permissions", "    inherits: [scout]\n    permissions"),
      "3:16 groups.scout.inherits[0] makes a cycle: scout inherits scout"
    ],
    [
      "groups that inherit each other",
      `groups:\n  a: { inherits: [b, c] }\n  b: { permissions: [] }\n  c: { inherits: [b, a] }\nghost_mappings: {}\n`,
      "4:22 groups.c.inherits[1] makes a cycle: a inherits c inherits a"
    ],
    ["a group without content", "groups:\n  a: {}\nghost_mappings: {}\n", "2:6 groups.a must have permissions"],
    [
      "a ghost that no token can name",
      good.replace("Scout: [", '"Scout ": ['),
      '6:3 ghost_mappings["Scout "] is not a ghost that a token can name: it must not begin or end with a blank'
    ],
    [
      "a star within a ghost's name",
      good.replace("Scout: [", '"S*t": ['),
      '6:3 ghost_mappings["S*t"] is not a ghost: "*" may only be the last character'
    ],
    [
      "a number for a text",
      good.replace("action: read", "action: 7"),
      "4:19 groups.scout.permissions[0].action must be a text"
    ],
    ["a text for a list", good.replace("[scout]", "scout"), "6:10 ghost_mappings.Scout must be a list"],
    [
      "the same group twice",
      `${good}`.replace("ghost_mappings", "  scout:\n    permissions: []\nghost_mappings"),
      "5:3 groups.scout is defined twice"
    ],
    ["the same ghost twice", `${good}  Scout: []\n`, "7:3 ghost_mappings.Scout is defined twice"],
    [
      "the same key of a permission twice",
      good.replace("action: read", "action: read, action: write"),
      "4:25 groups.scout.permissions[0].action is defined twice"
    ],
    ["two documents", `${good}---\n${good}`, "7:1 there must be one document only"],
    [
      "an effect that is neither",
      good.replace("vaults/public }", "vaults/public, effect: denied }"),
      "4:58 groups.scout.permissions[0].effect must be one of allow, deny"
    ],
    [
      "an unknown key of a permission beside an effect",
      good.replace("vaults/public }", "vaults/public, efect: deny }"),
      "4:50 groups.scout.permissions[0].efect is not a known key"
    ],
    [
      "a text for a list of properties",
      `${good}resource_paths:\n  todo: ownerID\n`,
      "8:9 resource_paths.todo must be a list"
    ],
    ["YAML that cannot be read", "groups: [\n", "2:1 "],
    ["an empty file", "", "1:1 the file must be a mapping"]
  ])("refuses %s with its line and column", async (_, text, problem) => {
    expect((await problemsOf(text)).join("\n")).toContain(problem)
  })

  it("tells all problems at once, in the order of the file", async () => {
    const text = good.replace("resource:", "resuorce:").replace("[scout]", "[scuot]")
    expect((await problemsOf(text)).map((line) => line.split(":")[0])).toEqual(["4", "4", "6"])
  })
})

describe("loadPolicy", () => {
  it.scopedLive("lets others go first while it reads a large file, and reads all of it", () =>
    Effect.gen(function* () {
      const rules = Array.from({ length: 5_000 }, (_, rule) => `      - { action: read, resource: vaults/${rule}/* }\n`)
      const text = good.replace("permissions:\n", `permissions:\n${rules.join("")}`)
      const file = join(yield* temporaryHome, "policy.yaml")
      writeFileSync(file, text)
      let turns = 0
      const count = () => {
        turns += 1
        immediate = setImmediate(count)
      }
      let immediate = setImmediate(count)
      const policy = yield* loadPolicy(file)
      clearImmediate(immediate)
      expect(policy.groups.get("scout")?.map(({ resource }) => resource)).toEqual([
        ...rules.map((_, rule) => `vaults/${rule}/*`),
        "vaults/public"
      ])
      expect(turns).toBeGreaterThan(15)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("names a file that is not there, and the variable that names another", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(loadPolicy("/nowhere/policy.yaml"))
      expect(error.message).toContain("/nowhere/policy.yaml:1:1: no such file")
      expect(error.message).toContain("ACCESS_POLICY_PATH")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("loads the policy that is shipped: a role is its administrator, and no person", () =>
    Effect.gen(function* () {
      const policy = yield* loadPolicy("config/access-policy.yaml")
      expect([...policy.groups.keys()]).toEqual(["admin", "agent", "librarian", "scout", "services"])
      const groups = [...policy.ghostMappings.keys()].map((ghost) => [ghost, groupsOf(policy, ghost)])
      expect(Object.fromEntries(groups)).toEqual({
        Operator: ["admin"],
        "service:guardian": ["services"],
        "service:router": ["services"],
        Librarian: ["librarian", "agent"],
        Scout: ["scout", "agent"],
        "agent-*": ["scout", "agent"]
      })
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
