import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { makeUuidV7, uuidFloor } from "../../../src/audit/encoding/AuditId.ts"
import { makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { type Loss, lossReceipt } from "../../../src/audit/encoding/TrailEvents.ts"
import { AuditLedger } from "../../../src/audit/sources/AuditLedger.ts"
import { gapStatement } from "../../../src/audit/sources/GapSearch.ts"
import type { Incarnation } from "../../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { gatekeeperUp } from "../../support/GatekeeperSchema.ts"
import { testPostgres } from "../../support/TestPostgres.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

const certain = { certain: true }
const why = { sqlstate: "22021", reason: "test", attempts: 1 }
const hour = 3_600_000
const day = 24 * hour

const client = (url: Redacted.Redacted) =>
  PgClient.make({ url, maxConnections: 2 }).pipe(Effect.provide(Reactivity.layer))

const openLedger = (url: Redacted.Redacted, deadline: Duration.DurationInput = "5 seconds") =>
  Effect.gen(function* () {
    const sql = yield* client(url)
    return Context.get(yield* Layer.build(AuditLedger.layerClient({ sql, deadline })), AuditLedger)
  })

const open = Effect.gen(function* () {
  const url = yield* gatekeeperDatabase
  return { url, store: yield* PostgresAuditStore.make({ url }), ledger: yield* openLedger(url) }
})

const incarnationOf = (source: string, startedAt: number): Incarnation => ({
  source,
  host: "here",
  pid: 7,
  startedAt,
  bootId: "boot",
  durability: "journal"
})

it.scopedLive("a source is returned with all that is known of it, and an unknown one is undefined", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    const rows = rowsOf(5)
    const source = rows[0]?.source ?? ""
    const incarnation = incarnationOf(source, 1_000)
    expect(yield* ledger.source(source)).toBeUndefined()
    yield* store.register(incarnation)
    yield* store.append(rows.slice(0, 4), certain)
    for (const row of rows.slice(4)) yield* store.deadLetter(row, why)
    yield* store.recordLoss(source, { from: 0, checkedSeq: 5, lost: 1 })
    const alive = yield* ledger.source(source)
    expect(alive).toMatchObject({
      ...{ source, host: "here", pid: 7, bootId: "boot", durability: "journal", counted: true },
      ...{ lastSeq: 5, committed: 4, deadLettered: 1, replayed: 0, quarantined: 0, checkedSeq: 5, lost: 1 },
      ...{ unsignedAfter: null, signedOffSeq: null, signedOffAt: null, shed: null, refused: null, unwritten: null }
    })
    expect(alive?.startedAt?.epochMillis).toBe(1_000)
    expect([alive?.seenAt, alive?.lastAt].every((moment) => moment !== null)).toBe(true)
    yield* store.signOff(incarnation, { lastSeq: 9, shed: 1, refused: 2, unwritten: 2, inDoubt: 1, quarantined: 3 })
    expect(yield* ledger.source(source)).toMatchObject({
      ...{ signedOffSeq: 9, shed: 1, refused: 2, unwritten: 2, inDoubt: 1, quarantined: 3 }
    })
  })
)

it.scopedLive("sources come newest first, page by page, each once", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    const made = Array.from({ length: 7 }, (_, index) => incarnationOf(crypto.randomUUID(), 1_000 * (index >> 1)))
    for (const incarnation of made) yield* store.register(incarnation)
    const expected = made
      .toSorted((a, b) => b.startedAt - a.startedAt || (a.source < b.source ? 1 : -1))
      .map(({ source }) => source)
    for (const limit of [1, 3, 7, 1_000]) {
      const seen: Array<string> = []
      for (let after: string | undefined; ; after = seen.at(-1)) {
        const page = yield* ledger.sources({ limit, after })
        if (page.length === 0) break
        seen.push(...page.map(({ source }) => source))
      }
      expect(seen).toEqual(expected)
    }
  })
)

it.scopedLive("who gives no sign of life is silent, until it signs off or is closed", () =>
  Effect.gen(function* () {
    const { ledger, store, url } = yield* open
    const made = Array.from({ length: 5 }, () => incarnationOf(crypto.randomUUID(), 1_000))
    const [dead, alive, ended, closed, writer] = made.map(({ source }) => source)
    yield* query(
      url,
      "insert into gatekeeper.audit_source (source, started_at, seen_at) select unnest($1::uuid[]), 'epoch', now() - interval '1 hour'",
      [[dead, alive, ended, closed, writer]]
    )
    yield* query(url, "update gatekeeper.audit_source set seen_at = now() where source = $1", [alive])
    yield* query(url, "update gatekeeper.audit_source set last_at = now() where source = $1", [writer])
    yield* query(url, "update gatekeeper.audit_source set signed_off_seq = 0 where source = $1", [ended])
    yield* store.closeUnknown(closed ?? "", 0, { refused: 0, shed: 0, quarantined: 0 })
    const silent = yield* ledger.silent("10 minutes")
    expect(silent.map(({ source }) => source)).toEqual([dead])
    expect(yield* ledger.silent("2 hours")).toEqual([])
    expect((yield* ledger.silent("0 millis")).length).toBe(3)
  })
)

it.scopedLive("gaps are the numbers that are nowhere, in ranges that do not touch", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    const size = 40
    const histories = FastCheck.sample(
      FastCheck.tuple(
        FastCheck.array(FastCheck.constantFrom("row", "row", "row", "letter", "gone"), {
          minLength: size,
          maxLength: size
        }),
        FastCheck.nat({ max: size }),
        FastCheck.nat({ max: size + 5 })
      ),
      25
    )
    for (const [fates, from, to] of histories) {
      const rows = rowsOf(size)
      const now = rows[0]?.timestamp ?? 0
      const source = rows[0]?.source ?? ""
      yield* store.append(
        rows.filter((_, index) => fates[index] === "row"),
        certain
      )
      for (const row of rows.filter((_, index) => fates[index] === "letter")) yield* store.deadLetter(row, why)
      const gaps = yield* ledger.gaps(source, { from, to, fromTime: now, toTime: now })
      const missing = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + 1 + index).filter(
        (seq) => seq > size || fates[seq - 1] === "gone"
      )
      expect(gaps.flatMap((gap) => Array.from({ length: gap.to - gap.from + 1 }, (_, i) => gap.from + i))).toEqual(
        missing
      )
      expect(gaps.every((gap, index) => index === 0 || gap.from > (gaps[index - 1]?.to ?? 0) + 1)).toBe(true)
    }
  })
)

it.scopedLive("a row whose id is hours away from the time of the look is found before it is called missing", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    const now = Date.now()
    const rows = rowsOf(3, { timestamp: now - 20 * hour })
    for (const row of rows) yield* store.makePartition(row.id)
    yield* store.append(rows, certain)
    const look = { from: 0, to: 3, fromTime: now, toTime: now }
    expect(yield* ledger.gaps(rows[0]?.source ?? "", look)).toEqual([])
    expect(
      yield* ledger.gaps(rows[0]?.source ?? "", { ...look, fromTime: now + 9 * hour, toTime: now + 9 * hour })
    ).toEqual([{ from: 1, to: 3 }])
  })
)

it.scopedLive("the search for gaps walks the primary key of the months that it is about, and no other", () =>
  Effect.gen(function* () {
    const { store, url } = yield* open
    // The middle of a month: in its first days the partition is so small that a plan reads it whole.
    const now = Date.UTC(2026, 9, 20)
    const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))
    const source = crypto.randomUUID()
    const event = encodeEvent(anEvent)
    // Twenty a day over three months.
    const rows = Array.from({ length: 6_000 }, (_, index) => {
      const timestamp = now - 90 * day + Math.floor((index * 90 * day) / 6_000)
      return makeRow(event, { id: nextId(timestamp), timestamp, source, seq: index + 1 })
    })
    for (let ago = 0; ago <= 4; ago++)
      yield* query(url, "select gatekeeper.audit_make_partition($1)", [uuidFloor(now - ago * 30 * day)])
    yield* store.append(rows, certain)
    yield* query(url, "analyze gatekeeper.audit_log")
    const sql = yield* client(url)
    const look = { from: 5_900, to: 6_000, fromTime: now - 2 * hour, toTime: now }
    const [text, values] = gapStatement(sql, source, look, Duration.hours(1)).compile(true)
    const plan = (yield* query(url, `explain (costs off) ${text}`, values)).map((row) => String(row["QUERY PLAN"]))
    const scans = plan.filter((line) => /Scan .*audit_log/.test(line)).map((line) => line.trim())
    expect(scans.length).toBeGreaterThan(0)
    for (const scan of scans) expect(scan).toMatch(/Scan (using|on) audit_log_\d{4}_\d{2}_pkey/)
  })
)

it.scopedLive("receipts are read back as they were recorded, those of the source alone", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    const [source, other] = [crypto.randomUUID(), crypto.randomUUID()]
    const losses: ReadonlyArray<Loss> = [
      { kind: "shed", source, from: 3, to: 9, count: 4 },
      { kind: "gap", source: other, from: 1, to: 1, count: 1 },
      { kind: "tail", source, after: 11 },
      { kind: "quarantined", source, from: 10, to: 11, count: 2 }
    ]
    for (const loss of losses) yield* store.append(rowsOf(1, { event: lossReceipt(loss) }), certain)
    expect(yield* ledger.receipts(source)).toEqual([
      { kind: "shed", source, from: 3, to: 9 },
      { kind: "quarantined", source, from: 10, to: 11 }
    ])
  })
)

it.scopedLive("a receipt that another process forged for a source does not count", () =>
  Effect.gen(function* () {
    const { ledger, store, url } = yield* open
    const owners = {
      guardian: "service:guardian",
      again: "service:guardian",
      router: "service:router",
      gatekeeper: null
    }
    const sources = Object.fromEntries(Object.keys(owners).map((name) => [name, crypto.randomUUID()]))
    for (const [name, owner] of Object.entries(owners)) {
      yield* query(url, "insert into gatekeeper.audit_source (source, identity) values ($1, $2)", [
        sources[name],
        owner
      ])
    }
    let from = 0
    const receipt = (writer: keyof typeof owners, about: keyof typeof owners) => {
      from += 1
      const loss: Loss = { kind: "gap", source: sources[about] ?? "", from, to: from, count: 1 }
      return store.append(rowsOf(1, { source: sources[writer] ?? "", from, event: lossReceipt(loss) }), certain)
    }
    // As rows of other processes were recorded before the gatekeeper looked at them.
    yield* receipt("guardian", "gatekeeper")
    yield* receipt("router", "guardian")
    expect(yield* ledger.receipts(sources["gatekeeper"] ?? "")).toEqual([])
    expect(yield* ledger.receipts(sources["guardian"] ?? "")).toEqual([])
    yield* receipt("guardian", "guardian")
    yield* receipt("again", "guardian")
    yield* receipt("gatekeeper", "guardian")
    yield* receipt("gatekeeper", "gatekeeper")
    expect((yield* ledger.receipts(sources["guardian"] ?? "")).map(({ from }) => from)).toEqual([3, 4, 5])
    expect((yield* ledger.receipts(sources["gatekeeper"] ?? "")).map(({ from }) => from)).toEqual([6])
  })
)

it.scopedLive("dead letters are counted, and those that wait", () =>
  Effect.gen(function* () {
    const { ledger, store } = yield* open
    expect(yield* ledger.deadLetters).toEqual({ total: 0, waiting: 0 })
    const rows = rowsOf(3)
    for (const row of rows) yield* store.deadLetter(row, why)
    yield* store.append(rows.slice(0, 1), { certain: false })
    expect(yield* ledger.deadLetters).toEqual({ total: 3, waiting: 2 })
  })
)

it.scopedLive(
  "a database that hangs is an error within the deadline",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      const ledger = yield* openLedger(postgres.url, "500 millis")
      expect(yield* ledger.sources({ limit: 1 })).toEqual([])
      yield* postgres.pause
      const [took, hung] = yield* Effect.timed(
        Effect.all(
          [
            Effect.flip(ledger.sources({ limit: 1 })),
            Effect.flip(ledger.deadLetters),
            Effect.flip(ledger.silent("1 hour"))
          ],
          { concurrency: 3 }
        )
      )
      yield* postgres.resume
      expect(hung.map(({ _tag }) => _tag)).toEqual(["TrailUnreachable", "TrailUnreachable", "TrailUnreachable"])
      expect(Duration.toMillis(took)).toBeLessThan(2_000)
    }),
  60_000
)
