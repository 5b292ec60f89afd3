import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { rowsOf, signingSecret } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const old = {
  agent_name: "Librarian",
  issued_at: "2025-01-01T00:00:00Z",
  expires_at: "2035-01-01T00:00:00Z",
  version: "1.0"
}

describe("certificate import", () => {
  it.scopedLive(
    "refuses an unsigned file without --resign, reports each hostile file, and can be repeated",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const directory = yield* temporaryHome
        const put = (name: string, content: unknown) =>
          writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content))
        put("a-unsigned.json", old)
        put("b-forged.json", { ...old, agent_name: "Scout", signature: "c2lnbmVk.by.unknown" })
        put("c-zoneless.json", { ...old, agent_name: "Zoneless", issued_at: "2025-01-01T00:00:00.123456" })
        put("d-huge.json", `{"agent_name":"${"x".repeat(100_000)}"}`)
        put("e-deep.json", "[".repeat(30_000))
        put("f-text.json", "not JSON\u001b[31m")
        put("g-order.json", { ...old, expires_at: "2024-01-01T00:00:00Z" })
        put("h-name.json", { ...old, agent_name: "../admin" })
        put("ignored.txt", "")
        mkdirSync(join(directory, "i-directory.json"))

        const run = (...options: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            const running = yield* program({
              args: ["certificate", "import", directory, "--json", ...options],
              environment: {
                DATABASE_URL: Redacted.value(databaseUrl),
                JWT_SECRET_KEY: signingSecret,
                GUARDIAN_SIGNING_KEY: signingKey
              }
            })
            const { code } = yield* running.ended()
            const report = JSON.parse(running.stdout())
            expect(report.exitCode).toBe(code)
            const outcomes: Record<string, string> = {}
            const reasons: Record<string, string> = {}
            for (const { file, outcome, reason } of report.result.files) {
              outcomes[file] = outcome
              reasons[file] = reason
            }
            return { code, outcomes, reasons }
          })

        const plain = yield* run()
        expect(plain.code).toBe(3)
        expect(new Set(Object.values(plain.outcomes))).toEqual(new Set(["refused"]))
        expect(plain.reasons).toMatchObject({
          "a-unsigned.json": expect.stringContaining("--resign"),
          "b-forged.json": expect.stringContaining("malformed"),
          "c-zoneless.json": expect.stringContaining("no zone"),
          "d-huge.json": expect.stringContaining("larger than"),
          "e-deep.json": "it is not a JSON object",
          "f-text.json": "it is not a JSON object",
          "g-order.json": "it expires before it was issued",
          "h-name.json": expect.stringContaining("/"),
          "i-directory.json": "it is not a file"
        })

        const dry = yield* run("--resign", "--assume-utc", "--dry-run")
        expect(dry.outcomes).toMatchObject({ "a-unsigned.json": "accepted", "c-zoneless.json": "accepted" })
        expect(yield* rowsOf(databaseUrl, "select from guardian.certificate")).toEqual([])

        const first = yield* run("--resign", "--assume-utc")
        expect(first.code).toBe(3)
        expect(first.outcomes).toMatchObject({
          "a-unsigned.json": "resigned",
          "b-forged.json": "resigned",
          "c-zoneless.json": "resigned",
          "d-huge.json": "refused"
        })
        const rows = yield* rowsOf(databaseUrl, "select * from guardian.certificate order by id")
        expect(rows).toMatchObject([
          { agent: "Librarian", version: 1, issued_at: new Date(old.issued_at), expires_at: new Date(old.expires_at) },
          { agent: "Scout" },
          { agent: "Zoneless" }
        ])
        expect(
          yield* rowsOf(
            databaseUrl,
            "select resource from gatekeeper.audit_log where action = 'certificate.import' order by id"
          )
        ).toEqual(["Librarian", "Scout", "Zoneless"].map((agent) => ({ resource: `certificates/${agent}` })))

        // A file that this guardian signed is imported as it is, and refused when one of its fields was changed.
        put("j-signed.json", { ...old, signature: rows[0]?.["signature"] })
        put("k-changed.json", { ...old, expires_at: "2036-01-01T00:00:00Z", signature: rows[0]?.["signature"] })
        const second = yield* run("--resign", "--assume-utc")
        expect(second.outcomes).toMatchObject({
          "a-unsigned.json": "present",
          "b-forged.json": "present",
          "j-signed.json": "present"
        })
        expect(second.reasons).toMatchObject({ "k-changed.json": "it differs from what was signed (expires_at)" })
        expect(yield* rowsOf(databaseUrl, "select from guardian.certificate")).toHaveLength(3)
      }),
    90_000
  )
})
