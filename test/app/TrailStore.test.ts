import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { canonicalJson } from "../../src/audit/encoding/AuditRow.ts"
import { guardianEvent, rowsOf } from "../support/AuditEvents.ts"
import { request, rowsOf as rowsOfTable, tokenOf } from "../support/Gravitas.ts"
import { arrived, gatekeeperOn, recorderAt, sourcesOf, until } from "../support/RemoteTrail.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

describe("POST /audit/store", () => {
  it.scopedLive(
    "lets a ghost neither write, sign off nor report life for a source of another, and says so",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const recorder = yield* recorderAt(gatekeeper.url, yield* temporaryHome)
        yield* arrived(databaseUrl, yield* recorder.record(5))
        const source = yield* recorder.source
        const [own] = yield* until(
          rowsOfTable(
            databaseUrl,
            "select source from gatekeeper.audit_source where identity is null and host is not null"
          ),
          (rows) => rows.length === 1
        )
        const ask = (operation: string, body: unknown, ghost: string | null = "service:router") =>
          Effect.gen(function* () {
            const token = ghost === null ? undefined : yield* Effect.promise(() => tokenOf(ghost))
            return yield* request(`${gatekeeper.url}/audit/store/${operation}`, {
              body,
              ...(token === undefined ? {} : { token })
            })
          })
        const incarnationOf = (source: unknown) => ({
          source,
          host: "elsewhere",
          pid: 1,
          startedAt: 0,
          bootId: "boot",
          durability: "memory"
        })
        const end = { lastSeq: 1, shed: 0, refused: 0, unwritten: 0, inDoubt: 0, quarantined: 0 }
        const before = yield* sourcesOf(databaseUrl)
        for (const victim of [source, own?.["source"]]) {
          const incarnation = incarnationOf(victim)
          const [forged] = rowsOf(1, { source: String(victim), event: guardianEvent }).map(canonicalJson)
          const [mine] = rowsOf(1).map(canonicalJson)
          const writer = crypto.randomUUID()
          const why = { sqlstate: null, reason: "forged", attempts: 1 }
          const refusals = [
            yield* ask("append", { writer, rows: [forged], certain: true }),
            yield* ask("append", { writer, rows: [mine, forged], certain: false }),
            yield* ask("dead-letter", { writer, row: forged, why }),
            yield* ask("register", { incarnation }),
            yield* ask("heartbeat", { incarnation }),
            yield* ask("sign-off", { incarnation, end }),
            yield* ask("close-unknown", { source: victim, after: 1, counts: { refused: 0, shed: 0, quarantined: 0 } }),
            yield* ask("record-loss", { source: victim, found: { from: 0, checkedSeq: 5, lost: 5 } }),
            yield* ask("locate", { writer: crypto.randomUUID(), incarnation, ids: [] })
          ]
          for (const answer of refusals) {
            expect(answer).toMatchObject({ status: 403, body: { error: { code: "source_of_another" } } })
          }
        }
        expect(yield* sourcesOf(databaseUrl)).toEqual(before)
        expect(
          yield* rowsOfTable(
            databaseUrl,
            `select id from gatekeeper.audit_log where resource = 'certificates/agent' and action = 'certificate.issue' and reason = 'certified'
             union all select event_id from gatekeeper.audit_dead_letter`
          )
        ).toEqual([])
        yield* gatekeeper.running.printed(
          /ALARM: the audit source .* belongs to service:guardian; service:router may not/
        )
        const denied = yield* until(
          rowsOfTable(
            databaseUrl,
            `select metadata ->> 'operation' as operation from gatekeeper.audit_log
             where result = 'DENIED' and resource = 'audit/store' and ghost_id = 'service:router'`
          ),
          (rows) => rows.length === 18
        )
        expect(new Set(denied.map((row) => row["operation"])).size).toBe(8)

        expect((yield* ask("trail", {}, null)).status).toBe(401)
        expect((yield* ask("trail", {}, "Librarian")).status).toBe(403)
        expect((yield* ask("nothing", {})).status).toBe(422)
        expect((yield* ask("append", { rows: ["{}"], certain: true, writer: crypto.randomUUID() })).status).toBe(422)
        expect((yield* ask("append", "{")).status).toBe(422)
        expect((yield* ask("append", `["${"x".repeat(17 * 2 ** 20)}"]`)).status).toBe(413)
        expect((yield* ask("trail", {})).status).toBe(200)
      }),
    120_000
  )
})
