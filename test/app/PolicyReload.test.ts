import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { ask, Gravitas, rowNamedBy, rowsOf, signingSecret } from "../support/Gravitas.ts"
import { call, policyText as good } from "../support/PolicyCalls.ts"
import { program } from "../support/Program.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const denying = good.replace(
  "      - { action: read, resource: vaults/* }\n",
  "      - { action: read, resource: vaults/* }\n      - { action: read, resource: vaults/secret/*, effect: deny }\n"
)
const directory = mkdtempSync(join(tmpdir(), "gravitas-policy-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
const file = join(directory, "policy.yaml")
writeFileSync(file, good)

const versionInForce = Effect.map(call("GET", "/policy"), ({ body }) => String(body["version"]))

const metricBecomes = (line: string) =>
  Effect.flatMap(Gravitas, ({ gatekeeper }) =>
    eventually(
      Effect.promise(async () => (await fetch(`${gatekeeper}/metrics`)).text()),
      (text) => text.split("\n").includes(line)
    )
  )

/** A change of the file is seen within a second or so. */
const patience = { every: "100 millis", within: "10 seconds" } as const

const reloads = Effect.flatMap(Gravitas, ({ databaseUrl }) =>
  rowsOf(databaseUrl, "select * from gatekeeper.audit_log where action = 'policy.reload' order by id")
)

layer(Gravitas.layer({ environment: { ACCESS_POLICY_PATH: file } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("the policy in force", (it) => {
  it.effect("is returned to a caller that may read it, with the version that every decision and its row name", () =>
    Effect.gen(function* () {
      const answer = yield* call("GET", "/policy")
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({
        groups: { scout: { permissions: [{ action: "execute", resource: "shells/l1/*", effect: "allow" }, {}] } },
        ghost_mappings: { Scout: ["scout"] },
        refused_reload: null
      })
      expect(yield* rowNamedBy(answer)).toMatchObject({ action: "read", resource: "policy", result: "ALLOWED" })
      const version = answer.body["version"]
      const allowed = yield* ask({ action: "read", resource: "vaults/a" }, { ghost: "Librarian" })
      expect(allowed.body["policy_version"]).toBe(version)
      const denied = yield* ask({ action: "read", resource: "vaults/a" }, { ghost: "Scout" })
      expect(denied.body).toMatchObject({ error: { policy_version: version, matched: null } })
      for (const one of [allowed, denied]) {
        expect((yield* rowNamedBy(one))["reason"]).toMatch(new RegExp(`^policy ${version}: `))
      }
      const forbidden = yield* call("GET", "/policy", "Scout")
      expect(forbidden.status).toBe(403)
      expect(yield* rowNamedBy(forbidden)).toMatchObject({ ghost_id: "Scout", resource: "policy", result: "DENIED" })
    })
  )

  it.effect("is read again on request; a wrong file is refused with every line and column, and changes nothing", () =>
    Effect.gen(function* () {
      const before = yield* versionInForce
      const same = yield* call("POST", "/policy/reload")
      expect(same.body).toMatchObject({ before, after: before, changed: false })
      expect((yield* call("POST", "/policy/reload", "Scout")).status).toBe(403)

      writeFileSync(file, good.replace("resource: vaults/public", "resuorce: vaults/public"))
      const refused = yield* call("POST", "/policy/reload")
      expect(refused.status).toBe(422)
      const health = yield* call("GET", "/health")
      expect(health.body).toMatchObject({
        status: "degraded",
        policy: { version: before, refused: { problems: expect.any(Number) } }
      })
      yield* metricBecomes("gatekeeper_policy_refused 1")
      expect(refused.body).toMatchObject({
        error: {
          code: "policy_refused",
          policy_version: before,
          problems: [
            { line: 24, column: 9 },
            { line: 24, column: 25 }
          ]
        }
      })
      const shown = yield* call("GET", "/policy")
      expect(shown.body).toMatchObject({ version: before, refused_reload: { problems: [{ line: 24 }, { line: 24 }] } })
      expect((yield* ask({ action: "read", resource: "vaults/public" }, { ghost: "Scout" })).status).toBe(200)

      writeFileSync(file, denying)
      const reloaded = yield* call("POST", "/policy/reload")
      expect(reloaded.status).toBe(200)
      const after = yield* versionInForce
      expect(reloaded.body).toMatchObject({ before, after, changed: true })
      expect(after).not.toBe(before)
      const denied = yield* ask({ action: "read", resource: "vaults/secret/x" }, { ghost: "Librarian" })
      expect(denied.status).toBe(403)
      expect(denied.body).toMatchObject({ error: { matched: { group: "librarian", rule: 3 }, policy_version: after } })

      const rows = yield* eventually(reloads, (found) => found.length >= 3, patience)
      expect(rows.slice(0, 3)).toMatchObject([
        { ghost_id: "Supervisor_Managed_Agent", result: "ALLOWED", reason: `policy ${before} stays` },
        { result: "INVALID", resource: "policy", request_id: refused.headers.get("x-request-id") },
        { result: "ALLOWED", reason: `policy ${before} -> ${after}`, request_id: reloaded.headers.get("x-request-id") }
      ])
    })
  )

  const changes: ReadonlyArray<readonly [string, (text: string) => void]> = [
    ["is written in place", (text) => writeFileSync(file, text)],
    [
      "is replaced, as editors do",
      (text) => {
        writeFileSync(`${file}.new`, text)
        renameSync(`${file}.new`, file)
      }
    ],
    [
      "becomes a link to a directory's link that is swapped, as ConfigMaps are",
      (text) => {
        const version = mkdtempSync(join(directory, "version-"))
        writeFileSync(join(version, "policy.yaml"), text)
        symlinkSync(version, join(directory, "data.new"))
        renameSync(join(directory, "data.new"), join(directory, "data"))
        symlinkSync(join(directory, "data", "policy.yaml"), `${file}.new`)
        renameSync(`${file}.new`, file)
      }
    ],
    [
      "has its directory's link swapped once more",
      (text) => {
        const version = mkdtempSync(join(directory, "version-"))
        writeFileSync(join(version, "policy.yaml"), text)
        symlinkSync(version, join(directory, "data.new"))
        renameSync(join(directory, "data.new"), join(directory, "data"))
      }
    ]
  ]
  for (const [index, [what, change]] of changes.entries()) {
    it.effect(`follows its file by itself when that ${what}; logged and recorded, without a ghost`, () =>
      Effect.gen(function* () {
        const { program } = yield* Gravitas
        const before = yield* versionInForce
        change(`${good}# change ${index}\n`)
        const after = yield* eventually(versionInForce, (version) => version !== before, patience)
        expect(program.stdout()).toContain(`Policy ${after} is in force; before it ${before}.`)
        const rows = yield* eventually(
          reloads,
          (found) => found.at(-1)?.["reason"] === `policy ${before} -> ${after}`,
          patience
        )
        expect(rows.at(-1)).toMatchObject({ ghost_id: null, request_id: null, result: "ALLOWED" })
      })
    )
  }

  it.effect(
    "stays while its file is wrong or gone, which is logged and recorded once, and follows it again after",
    () =>
      Effect.gen(function* () {
        const { program } = yield* Gravitas
        const before = yield* versionInForce
        const count = (yield* reloads).length
        unlinkSync(file)
        const gone = yield* eventually(reloads, (rows) => rows.length > count, patience)
        expect(gone.at(-1)).toMatchObject({ ghost_id: null, result: "INVALID" })
        expect(program.stdout()).toContain("no such file")
        mkdirSync(file)
        yield* eventually(reloads, (rows) => rows.length > count + 1, patience)
        expect(yield* versionInForce).toBe(before)
        expect((yield* ask({ action: "read", resource: "vaults/public" }, { ghost: "Scout" })).status).toBe(200)
        rmSync(file, { recursive: true })
        writeFileSync(file, `${good}# back\n`)
        yield* eventually(versionInForce, (version) => version !== before, patience)
        yield* Effect.sleep("1500 millis")
        expect((yield* reloads).length).toBe(count + 3)
      })
  )
})

it.scopedLive("a start with a wrong policy is refused, with line and column", () =>
  Effect.gen(function* () {
    const bad = join(directory, "bad.yaml")
    writeFileSync(bad, good.replace("\ngroups:", "\ngruops:"))
    const started = yield* program({
      args: ["gatekeeper"],
      environment: {
        DATABASE_URL: Redacted.value(yield* freshDatabase),
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: bad
      }
    })
    expect((yield* started.ended()).code).toBe(1)
    expect(started.stderr()).toMatch(/bad\.yaml:\d+:1: gruops is not a known key/)
  })
)
