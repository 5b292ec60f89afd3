import { expect, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DeadLetters } from "../../src/audit/dead-letters/DeadLetters.ts"
import { canonicalJson, type HashedRow, makeRow } from "../../src/audit/encoding/AuditRow.ts"
import { lossReceipt, withdrawal } from "../../src/audit/encoding/TrailEvents.ts"
import { anEvent, guardianEvent, rowsOf } from "../support/AuditEvents.ts"
import { ask, Gravitas, rowsOf as query, request, rowNamedBy, tokenOf } from "../support/Gravitas.ts"
import { until } from "../support/RemoteTrail.ts"

/** What a compromised guardian has: its token, and a source of its own. */
const attacker = (ghost = "service:guardian") => {
  const source = crypto.randomUUID()
  let seq = 0
  const send = (operation: string, body: unknown) =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const token = yield* Effect.promise(() => tokenOf(ghost))
      return yield* request(`${gatekeeper}/audit/store/${operation}`, { body, token })
    })
  return {
    source,
    send,
    row: (event: Parameters<typeof rowsOf>[1] = {}, forged: Partial<HashedRow> = {}): HashedRow => {
      const [row] = rowsOf(1, { source, from: ++seq, event: guardianEvent, ...event })
      if (row === undefined) throw new Error("no row")
      return makeRow({ ...row, ...forged }, { ...row, ...forged })
    },
    append: (rows: ReadonlyArray<HashedRow>) =>
      send("append", { writer: crypto.randomUUID(), certain: false, rows: rows.map(canonicalJson) })
  }
}

const recordedOf = (rows: ReadonlyArray<HashedRow>) =>
  Effect.flatMap(Gravitas, ({ databaseUrl }) =>
    Effect.map(
      query(databaseUrl, "select id from gatekeeper.audit_log where id = any($1) order by id", [
        rows.map(({ id }) => id)
      ]),
      (found) => found.map((row) => row["id"])
    )
  )

layer(Gravitas.layer({ args: ["gatekeeper"] }), { timeout: "60 seconds", excludeTestServices: true })(
  "a service that forges rows",
  (it) => {
    it.effect("gets none of them into the trail, and loses none of its own rows in the same batch", () =>
      Effect.gen(function* () {
        const { databaseUrl, program } = yield* Gravitas
        const { append, row } = attacker()
        const decision = {
          ...anEvent,
          ghostId: "dan_flory",
          action: "write",
          resource: "vaults/crown",
          reason: "policy de462cd02f48: group admin may * on *"
        }
        const forged = [
          row({ event: decision }),
          row({}, { result: "APPROVED BY CEO" }),
          row({}, { result: "" }),
          row({}, { result: "REPLAYED" }),
          row({}, { marks: ["auth:disabled"] }),
          row({}, { metadata: '{"ingest":{"by":"dan_flory"}}' }),
          row({}, { timestamp: Date.parse("9999-12-31T23:59:59.999Z") }),
          row({}, { timestamp: 0 }),
          row({}, { metadata: JSON.stringify({ text: "x".repeat(20_000) }) }),
          row({
            event: lossReceipt({ kind: "gap", source: crypto.randomUUID(), from: 1, to: 100_000, count: 100_000 })
          })
        ]
        const genuine = [row(), row()]
        const answer = yield* append([...forged, ...genuine])
        expect(answer.status).toBe(200)
        expect(answer.body["value"]).toMatchObject({ refused: forged.map(({ id }) => ({ id })) })
        expect(yield* recordedOf([...forged, ...genuine])).toEqual(genuine.map(({ id }) => id).toSorted())
        const letters = yield* query(
          databaseUrl,
          "select event_id, sqlstate from gatekeeper.audit_dead_letter where event_id = any($1)",
          [forged.map(({ id }) => id)]
        )
        expect(letters).toHaveLength(forged.length)
        expect(new Set(letters.map((letter) => letter["sqlstate"]))).toEqual(new Set(["28S02"]))
        yield* program.printed(/ALARM: service:guardian may not record what it sent: 10 rows became dead letters/)
        const denied = yield* until(
          query(
            databaseUrl,
            `select reason from gatekeeper.audit_log
             where ghost_id = 'service:guardian' and result = 'DENIED' and resource = 'audit/store'`
          ),
          (rows) => rows.length > 0
        )
        expect(String(denied[0]?.["reason"])).toContain("does not record the action")

        // A replay by the operator brings none of them in.
        const replay = Context.get(yield* Layer.build(DeadLetters.layerUrl({ url: databaseUrl })), DeadLetters)
        const outcomes = yield* replay.replay({ by: "operator", all: true })
        expect(outcomes.map(({ outcome }) => outcome)).toEqual(forged.map(() => "refused"))
        expect(yield* recordedOf(forged)).toEqual([])
      }).pipe(Effect.scoped)
    )

    it.effect("withdraws its own events only", () =>
      Effect.gen(function* () {
        const { append, row, send } = attacker()
        const decision = yield* ask({ action: "execute", resource: "shells/l1/small" })
        const taken = String((yield* rowNamedBy(decision))["id"])
        const withdrawing = (id: string) => ({
          event: withdrawal(guardianEvent, id as HashedRow["id"], "it was not given")
        })
        const own = row()
        const later = row()
        yield* append([own])
        const genuine = [row(withdrawing(own.id)), later, row(withdrawing(later.id))]
        const old = rowsOf(1, { timestamp: Date.now() - 600_000 })[0]?.id ?? ""
        const forged = [row(withdrawing(old))]
        yield* append([...forged, ...genuine])
        expect(yield* recordedOf([...forged, ...genuine])).toEqual(genuine.map(({ id }) => id).toSorted())
        // An event that its source has not sent may still be on its way while it is recent.
        const early = [row(withdrawing(taken)), row(withdrawing(rowsOf(1)[0]?.id ?? ""))]
        for (const one of early) {
          expect((yield* append([one])).body).toMatchObject({ failure: { sqlstate: "23S01" } })
        }
        expect(yield* recordedOf(early)).toEqual([])
        const letter = row(withdrawing(old))
        const why = { sqlstate: "23514", reason: "x".repeat(100), attempts: 1 }
        expect(
          (yield* send("dead-letter", { writer: crypto.randomUUID(), row: canonicalJson(letter), why })).status
        ).toBe(200)
        const { databaseUrl } = yield* Gravitas
        expect(
          yield* query(databaseUrl, "select sqlstate from gatekeeper.audit_dead_letter where event_id = $1", [
            letter.id
          ])
        ).toEqual([{ sqlstate: "28S02" }])
      })
    )

    it.effect("reports losses of its own sources only, and not more than they can have lost", () =>
      Effect.gen(function* () {
        const { databaseUrl } = yield* Gravitas
        const { append, row, send, source } = attacker()
        const earlier = attacker()
        const router = attacker("service:router")
        yield* earlier.append([earlier.row()])
        yield* router.append([router.row({ event: { ...guardianEvent, action: "route" } })])
        const [gatekeeper] = yield* query(
          databaseUrl,
          "select source from gatekeeper.audit_source where identity is null and kind = 'process' limit 1"
        )
        const receipt = (about: string) =>
          row({ event: lossReceipt({ kind: "gap", source: about, from: 1, to: 100_000, count: 100_000 }) })
        const genuine = [receipt(source), receipt(earlier.source)]
        const forged = [String(gatekeeper?.["source"]), router.source, crypto.randomUUID()].map(receipt)
        yield* append([...forged, ...genuine])
        expect(yield* recordedOf([...forged, ...genuine])).toEqual(genuine.map(({ id }) => id).toSorted())
        for (const found of [
          { from: 0, checkedSeq: 9e15, lost: 9e15 },
          { from: 0, checkedSeq: 1e12, lost: 1e12 },
          { from: 0, checkedSeq: 1, lost: 2 }
        ]) {
          expect((yield* send("record-loss", { source, found })).status, JSON.stringify(found)).toBe(422)
        }
        expect((yield* send("record-loss", { source, found: { from: 0, checkedSeq: 5, lost: 2 } })).body).toEqual({
          value: true
        })
        const incarnation = { source, host: "h", pid: 1, startedAt: 0, bootId: "b", durability: "journal" }
        const end = { lastSeq: 9e15, shed: 0, refused: 0, unwritten: 0, inDoubt: 0, quarantined: 0 }
        expect((yield* send("sign-off", { incarnation, end })).status).toBe(422)
        const counts = { refused: 0, shed: 9e15, quarantined: 0 }
        expect((yield* send("close-unknown", { source, after: 1, counts })).status).toBe(422)
        const [known] = yield* query(
          databaseUrl,
          "select lost::integer, signed_off_seq, shed from gatekeeper.audit_source where source = $1",
          [source]
        )
        expect(known).toEqual({ lost: 2, signed_off_seq: null, shed: null })
      })
    )

    it.effect("cannot send a row of megabytes, nor can a ghost that is not a service send any", () =>
      Effect.gen(function* () {
        const { append, row } = attacker()
        const large = row({}, { metadata: JSON.stringify({ text: "x".repeat(15_000_000) }) })
        expect((yield* append([large])).status).toBe(422)
        expect(yield* recordedOf([large])).toEqual([])
        const admin = attacker("dan_flory")
        const rows = [admin.row(), admin.row({ event: anEvent })]
        expect(yield* admin.append(rows)).toMatchObject({ status: 403, body: { error: { code: "source_of_another" } } })
        expect(yield* recordedOf(rows)).toEqual([])
      })
    )
  }
)
