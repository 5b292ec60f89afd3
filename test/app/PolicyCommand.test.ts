import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { program, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

const shipped = join(project, "config/access-policy.yaml")

/** Runs a command in a directory with `files`; what it needs of the environment is the policy's path alone. */
const run = (args: ReadonlyArray<string>, files: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    const running = yield* program({ args, directory, environment: { GATEKEEPER_PORT: "of no interest here" } })
    const { code } = yield* running.ended()
    return { code, stdout: running.stdout(), stderr: running.stderr() }
  })

const bad = `groups:
  scout:
    permissions:
      - { action: read, resource: vaults/public, effect: denied }
      - { action: re*, resource: vaults/* }
ghost_mappings:
  Scout: [scuot]
`

describe("policy check", () => {
  it.scopedLive("says what a good policy holds, and reads the one that the setting names", () =>
    Effect.gen(function* () {
      const told = yield* run(["policy", "check"])
      expect(told.code).toBe(0)
      expect(told.stdout).toMatch(
        /is valid: policy [0-9a-f]{12}\n\ngroup +allow +deny +inherits +ghosts\nadmin +1 +0 +Supervisor/
      )
      const json = yield* run(["policy", "check", shipped, "--json"])
      expect(json.code).toBe(0)
      expect(JSON.parse(json.stdout)).toMatchObject({
        command: "policy check",
        exitCode: 0,
        error: null,
        result: {
          groups: [
            { group: "admin", ghosts: ["Operator"] },
            { group: "agent" },
            { group: "librarian", allow: 4, inherits: ["agent"] },
            { group: "scout", ghosts: ["Scout", "agent-*"] },
            { group: "services" }
          ]
        }
      })
    })
  )

  it.scopedLive("marks names that look alike, and does not refuse them", () =>
    Effect.gen(function* () {
      const text = "groups: { a: { permissions: [] } }\nghost_mappings: { Scout: [a], \u0405cout: [a] }\n"
      const told = yield* run(["policy", "check", "alike.yaml"], { "alike.yaml": text })
      expect(told.code).toBe(0)
      expect(told.stdout).toContain('Names that look alike: "Scout", "\\u{405}cout"')
    })
  )

  it.scopedLive("reports every problem of a refused file with line and column, and exits with 3", () =>
    Effect.gen(function* () {
      const told = yield* run(["policy", "check", "bad.yaml"], { "bad.yaml": bad })
      expect(told.code).toBe(3)
      for (const place of ["bad.yaml:4:58: groups", "bad.yaml:5:19: groups", "bad.yaml:7:11: ghost_mappings.Scout"]) {
        expect(told.stderr).toContain(place)
      }
      const json = yield* run(["policy", "check", "missing.yaml", "--json"])
      expect(json.code).toBe(3)
      expect(JSON.parse(json.stdout)).toMatchObject({
        exitCode: 3,
        result: null,
        error: { error: "PolicyFileRefused" }
      })
    })
  )
})

describe("policy test", () => {
  const good = [
    "- { ghost: Scout, action: execute, resource: shells/l1/small, expect: allow, rule: scout#1 }",
    "- { ghost: Scout, action: execute, resource: shellsABC, expect: deny }",
    "- { ghost: Stranger, action: read, resource: vaults/public, expect: deny }"
  ].join("\n")

  it.scopedLive("ends with 0 where the policy decides as the cases expect", () =>
    Effect.gen(function* () {
      const told = yield* run(["policy", "test", "cases.yaml"], { "cases.yaml": good })
      expect(told.stderr).toBe("")
      expect(told.code).toBe(0)
      expect(told.stdout).toMatch(/^line +ghost +action +resource +expected +decided/)
      expect(told.stdout).toContain("3 of 3 cases as expected")
    })
  )

  it.scopedLive("ends with 5 where it does not, and says where the case stands and what was decided", () =>
    Effect.gen(function* () {
      const cases = `${good}\n- { ghost: Librarian, action: write, resource: vaults/a, expect: deny }\n`
      const told = yield* run(["policy", "test", "cases.yaml", "--policy", shipped], { "cases.yaml": cases })
      expect(told.code).toBe(5)
      expect(told.stdout).toMatch(
        /4 +Librarian +write +vaults\/a +deny +allow librarian#3 +librarian \(line \d+\), agent \(line \d+\) +FAILED/
      )
      expect(told.stderr).toContain("cases.yaml:4:3: expected deny for Librarian to write vaults/a, but it is allow")
      const json = yield* run(["policy", "test", "cases.yaml", "--json"], { "cases.yaml": cases })
      expect(json.code).toBe(5)
      expect(JSON.parse(json.stdout)).toMatchObject({
        error: { error: "CasesFailed", exitCode: 5 },
        result: { cases: [{ passed: true }, { passed: true }, { passed: true }, { passed: false, by: "librarian#3" }] }
      })
    })
  )

  it.scopedLive("ends with 4 where the cases themselves are wrong, and with 3 where the policy is", () =>
    Effect.gen(function* () {
      const cases =
        "- { ghost: Scout, action: read, resuorce: a, expect: yes }\n- { ghost: Scout, rule: scout }\n" +
        "- { ghost: Librarian, action: read, resource: vaults/../secret, expect: allow }\n" +
        `- { ghost: ${"G".repeat(101)}, action: read, resource: vaults/public, expect: deny }\n`
      const told = yield* run(["policy", "test", "cases.yaml"], { "cases.yaml": cases })
      expect(told.code).toBe(4)
      for (const problem of [
        "cases.yaml:1:33: [0].resuorce is not a known key",
        "cases.yaml:1:3: [0].resource is missing",
        "cases.yaml:1:54: [0].expect must be one of allow, deny",
        'cases.yaml:2:25: [1].rule is "scout", not group#number',
        'cases.yaml:3:47: [2].resource cannot be in a request: "resource" must not have the segments',
        'cases.yaml:4:12: [3].ghost cannot be in a request: "ghost_id" has 101 characters'
      ]) {
        expect(told.stderr).toContain(problem)
      }
      expect((yield* run(["policy", "test", "empty.yaml"], { "empty.yaml": "[]\n" })).code).toBe(4)
      const refused = yield* run(["policy", "test", "cases.yaml", "--policy", "bad.yaml"], {
        "cases.yaml": good,
        "bad.yaml": bad
      })
      expect(refused.code).toBe(3)
    })
  )
})
