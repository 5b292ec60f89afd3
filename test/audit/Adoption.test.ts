import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { canonicalJson } from "../../src/audit/AuditRow.ts"
import { AuditStore } from "../../src/audit/AuditStore.ts"
import * as PostgresAuditStore from "../../src/audit/PostgresAuditStore.ts"
import { DatabaseError } from "../../src/platform/DatabaseError.ts"
import { rowsOf } from "./Events.ts"
import { journaled, journalFolder, journalsIn, leaveJournal } from "./Journals.ts"
import { gatekeeperDatabase, openTrail, query, until, withLogs } from "./Trail.ts"

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

it.scopedLive("the journal of a process that was killed is written, signed off and removed", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 250)
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(
      yield* query(url, "select id from gatekeeper.audit_log where source = $1 order by seq", [left.source])
    ).toEqual(left.rows.map(({ id }) => ({ id })))
    expect(yield* sourceRow(url, left.source)).toEqual({
      signed_off: 250,
      unsigned_after: null,
      committed: 250,
      lost: 0,
      quarantined: 0
    })
    expect(yield* receiptsOf(url, left.source)).toEqual([])
    expect(yield* journalsIn(directory)).not.toContain(left.source)
  })
)

it.scopedLive("rows that had been written before the kill are not written twice", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 120)
    const stores = yield* Layer.build(PostgresAuditStore.layerUrl({ url }))
    yield* Context.get(stores, AuditStore).append(left.rows.slice(0, 50), { certain: true })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 120, committed: 120 })
    expect(
      yield* query(url, "select count(*)::integer as rows from gatekeeper.audit_log where source = $1", [left.source])
    ).toEqual([{ rows: 120 }])
  })
)

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

it.scopedLive("a machine that restarted loses nothing that was answered in the mode fsync", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 30, { bootId: "another boot", durability: "fsync" })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 30, unsigned_after: null })
    expect(yield* receiptsOf(url, left.source)).toEqual([])
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
  "numbers that a receipt names are counted as lost by whoever goes on, though the first one died over it",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* leaveJournal(url, directory, 20, { keep: (seq) => seq !== 4 && seq !== 5 })
      const broken = new DatabaseError({ phase: "connect", reason: "cut off" })
      const first = yield* openTrail(url, journaled(directory), (store) => ({
        ...store,
        recordLoss: () => Effect.fail(broken)
      }))
      yield* until(first.log, (status) => (status.journal?.others.stuck.length ?? 0) > 0)
      yield* first.shutdown
      const second = yield* openTrail(url, journaled(directory))
      yield* until(second.log, (status) => status.journal?.others.adopting === null && adoptedAll(status))
      expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 20, committed: 18, lost: 2 })
      expect(yield* receiptsOf(url, left.source)).toHaveLength(1)
    })
)

it.scopedLive("a journal that the disk keeps is written and signed off, and not said to be removed", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 3)
    // What is no file is not removed.
    yield* Effect.promise(() => Fs.mkdir(Path.join(left.path, "kept")))
    yield* withLogs((lines) =>
      Effect.gen(function* () {
        const trail = yield* openTrail(url, journaled(directory))
        const status = yield* until(trail.log, () => lines.some((line) => line.includes("settled and not removed")))
        expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 3, committed: 3 })
        expect(status.journal?.others.adopted).toBe(0)
        expect(yield* journalsIn(directory)).toContain(left.source)
      })
    )
  })
)

it.scopedLive("a whole record that is no event of ours is kept aside: the receipt does not call it lost", () =>
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

it.scopedLive("a journal of another trail is named, and never read into this one", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const trailId = crypto.randomUUID()
    const left = yield* leaveJournal(url, directory, 10, { trail: trailId })
    const logged = yield* withLogs((lines) =>
      Effect.gen(function* () {
        const trail = yield* openTrail(url, journaled(directory))
        const status = yield* until(trail.log, (status) => (status.journal?.others.foreign.length ?? 0) > 0)
        expect(status.journal?.others.foreign).toEqual([{ path: left.path, trail: trailId }])
        const isTold = () => lines.some((line) => line.includes(trailId))
        yield* Effect.sleep("10 millis").pipe(Effect.repeat({ until: isTold }), Effect.timeout("10 seconds"))
        return lines
      })
    )
    expect(logged.filter((line) => line.includes("belongs to the trail") && line.includes(trailId))).toHaveLength(1)
    expect(yield* query(url, "select count(*)::integer as rows from gatekeeper.audit_log")).toEqual([{ rows: 0 }])
    expect(yield* journalsIn(directory)).toContain(left.source)
  })
)

it.scopedLive("two living processes share a home, and leave each other's journals alone", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const first = yield* openTrail(url, journaled(directory))
    const second = yield* openTrail(url, journaled(directory))
    const status = yield* until(second.log, (status) => status.journal?.others.alive === 1)
    expect(status.journal?.others).toMatchObject({ adopted: 0, foreign: [], stuck: [] })
    expect((yield* journalsIn(directory)).toSorted()).toEqual(
      [(yield* first.log.status).source, status.source].toSorted()
    )
  })
)
