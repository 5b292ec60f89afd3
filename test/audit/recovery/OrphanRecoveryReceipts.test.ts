import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { AuditStore } from "../../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { journaled, journalFolder, leaveJournal } from "../../support/Journals.ts"
import { gatekeeperDatabase, openTrail, query, until } from "../../support/Trail.ts"

const sourceRow = (url: Parameters<typeof query>[0], source: string) =>
  Effect.map(
    query(
      url,
      `select signed_off_seq::integer as signed_off, unsigned_after::integer, committed::integer, lost::integer, quarantined::integer
       from gatekeeper.audit_source where source = $1`,
      [source]
    ),
    (rows) => rows[0]
  )

const receiptsOf = (url: Parameters<typeof query>[0], source: string) =>
  Effect.map(
    query(url, "select metadata from gatekeeper.audit_log where result = 'LOST' and resource = $1 order by seq", [
      `audit/sources/${source}`
    ]),
    (rows) => rows.map((row) => row["metadata"])
  )

const adoptedAll = (status: { readonly journal: { readonly others: { readonly adopted: number } } | null }) =>
  status.journal?.others.adopted === 1

it.scopedLive("after a restart of the machine a receipt says that the tail is unknown", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 30, { bootId: "another boot" })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: null, unsigned_after: 30, committed: 30 })
    expect(yield* receiptsOf(url, left.source)).toEqual([
      { kind: "tail", source: left.source, from_seq: 31, to_seq: null, count: null }
    ])
  })
)

it.scopedLive("numbers that are nowhere are named by a receipt and counted, those that were shed apart", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 20, {
      keep: (seq) => ![4, 5, 11].includes(seq),
      counts: { lastSeq: 22, refused: 7, shed: 2 }
    })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    // Five are missing, and two of them were shed.
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 22, committed: 17, lost: 3 })
    expect(
      (yield* receiptsOf(url, left.source)).map((one) => [
        Reflect.get(Object(one), "from_seq"),
        Reflect.get(Object(one), "to_seq")
      ])
    ).toEqual([
      [4, 5],
      [11, 11],
      [21, 22]
    ])
  })
)

it.scopedLive(
  "an intact record that is not an event is kept in the quarantine: the receipt does not call it lost",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* leaveJournal(url, directory, 3, {
        textOf: (row) => (row.seq === 2 ? JSON.stringify({ of: "a later program" }) : canonicalJson(row))
      })
      const trail = yield* openTrail(url, journaled(directory))
      yield* until(trail.log, adoptedAll)
      expect(yield* sourceRow(url, left.source)).toMatchObject({ committed: 2, quarantined: 1, lost: 0 })
      expect(yield* receiptsOf(url, left.source)).toMatchObject([{ kind: "quarantined", from_seq: 2, to_seq: 2 }])
    })
)

it.scopedLive("more gaps than one search finds are all counted and named", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 2_401, { keep: (seq) => seq % 2 === 1 })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 2_401, committed: 1_201, lost: 1_200 })
    expect(yield* receiptsOf(url, left.source)).toHaveLength(1_200)
  })
)

it.scopedLive("a process that kept nothing on disk leaves an unknown tail, and no silence", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 0, {
      durability: "memory",
      counts: { lastSeq: 9, refused: 0, shed: 0 }
    })
    const trail = yield* openTrail(url, journaled(directory, "memory"))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: null, unsigned_after: 9, lost: 9 })
    expect((yield* receiptsOf(url, left.source)).map((one) => Reflect.get(Object(one), "kind"))).toEqual([
      "gap",
      "tail"
    ])
  })
)

it.scopedLive("the tail is unknown after the last row, where the table knows of later ones than the last note", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 0, {
      durability: "memory",
      counts: { lastSeq: 2, refused: 0, shed: 0 }
    })
    const stores = yield* Layer.build(PostgresAuditStore.layerUrl({ url }))
    yield* Context.get(stores, AuditStore).append(rowsOf(5, { source: left.source }), { certain: true })
    const trail = yield* openTrail(url, journaled(directory, "memory"))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: null, unsigned_after: 5, lost: 0 })
  })
)
