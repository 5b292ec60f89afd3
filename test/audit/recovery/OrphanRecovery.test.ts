import { existsSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { AuditStore } from "../../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { journaled, journalFolder, journalsIn, leaveJournal } from "../../support/Journals.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { fillUp, isMountable, notMountable, smallDisk } from "../../support/SmallDisk.ts"
import { gatekeeperDatabase, openTrail, query, until, withLogs } from "../../support/Trail.ts"

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

it.scopedLive(
  "numbers that a receipt names are counted as lost by the next process, although the first one died before",
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
    // A directory in place of a file is not removed.
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
        yield* Effect.sleep("10 millis").pipe(Effect.repeat({ until: isTold }), Effect.timeout("20 seconds"))
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

it.scopedLive("a stop that arrives while the lock of a recovered journal is released ends the recovery, too", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const left = yield* leaveJournal(url, directory, 10)
    const removed = yield* Effect.makeLatch(false)
    const files: JournalFiles = {
      ...nodeFiles,
      close: (fd) => {
        nodeFiles.close(fd)
        // The checkpoint is closed last, right before the lock.
        if (!existsSync(left.path)) removed.unsafeOpen()
      }
    }
    const scope = yield* Effect.scope
    // As the program's own fiber, this one has run no finalizer before: Effect forgets an interruption only then.
    const opened = openTrail(url, journaled(directory, "journal", { files })).pipe(Scope.extend(scope))
    const trail = yield* Effect.promise(() => Effect.runPromise(opened))
    yield* removed.await
    yield* trail.shutdown
    expect(yield* journalsIn(directory)).toEqual([])
  })
)

it.scopedLive("a start on a disk that the settled journal of a dead process fills makes room for its own", (context) =>
  Effect.gen(function* () {
    if (!isMountable) return skipBecause(context, notMountable)
    const url = yield* gatekeeperDatabase
    const disk = yield* smallDisk("512k")
    const directory = Path.join(disk, "journal")
    const left = yield* leaveJournal(url, directory, 300, { settled: true })
    const stores = yield* Layer.build(PostgresAuditStore.layerUrl({ url }))
    yield* Context.get(stores, AuditStore).append(left.rows, { certain: true })
    yield* fillUp(disk)
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, adoptedAll)
    expect(yield* sourceRow(url, left.source)).toMatchObject({ signed_off: 300, committed: 300, lost: 0 })
    expect(yield* trail.log.status).toMatchObject({ accepting: true })
  })
)

/** A directory in which a program that registers its sources has run. */
const usedFolder = (url: Parameters<typeof query>[0]) =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    yield* (yield* openTrail(url, journaled(directory))).shutdown
    return directory
  })

it.scopedLive("a journal that was planted in the directory is not adopted, and an alarm says so once", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* usedFolder(url)
      const planted = yield* leaveJournal(url, directory, 5)
      const trail = yield* openTrail(url, journaled(directory))
      const status = yield* until(trail.log, (status) => (status.journal?.others.stuck.length ?? 0) > 0)
      expect(status.journal?.others.stuck).toMatchObject([
        { path: planted.path, reason: expect.stringContaining("5 events of a source that no process registered") }
      ])
      expect(yield* query(url, "select seq from gatekeeper.audit_log where source = $1", [planted.source])).toEqual([])
      expect(
        yield* query(url, "select source from gatekeeper.audit_source where source = $1", [planted.source])
      ).toEqual([])
      expect(yield* journalsIn(directory)).toContain(planted.source)
      expect(lines.filter((line) => line.startsWith("ERROR ALARM") && line.includes(planted.path))).toHaveLength(1)

      // The operator finds that it is genuine after all.
      yield* trail.shutdown
      yield* Effect.promise(() => Fs.writeFile(`${directory}.unregistered`, JSON.stringify([planted.source])))
      yield* until((yield* openTrail(url, journaled(directory))).log, adoptedAll)
      expect(yield* sourceRow(url, planted.source)).toMatchObject({ signed_off: 5, committed: 5 })
    })
  )
)

it.scopedLive("events that were planted behind the end of a source that signed off are not adopted", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* usedFolder(url)
    const [ended] = yield* query(url, "select source from gatekeeper.audit_source where signed_off_seq = 0")
    const planted = yield* leaveJournal(url, directory, 3, { source: String(ended?.["source"]) })
    const trail = yield* openTrail(url, journaled(directory))
    const status = yield* until(trail.log, (status) => (status.journal?.others.stuck.length ?? 0) > 0)
    expect(JSON.stringify(status.journal?.others.stuck)).toContain("after number 0, at which its source signed off")
    expect(yield* query(url, "select seq from gatekeeper.audit_log where source = $1", [planted.source])).toEqual([])
  })
)

it.scopedLive(
  "journals of older programs, whose sources are not registered, are adopted once, and marked in the trail",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const directory = yield* journalFolder
      const left = yield* leaveJournal(url, directory, 4)
      const trail = yield* openTrail(url, journaled(directory))
      yield* until(trail.log, (status) => adoptedAll(status) && status.depth === 0)
      expect(
        yield* query(url, "select result, metadata from gatekeeper.audit_log where action = 'audit/adoption'")
      ).toEqual([{ result: "REPORTED", metadata: { kind: "adoption", source: left.source, count: 4 } }])
      // The list was made by the first start alone.
      yield* trail.shutdown
      const later = yield* leaveJournal(url, directory, 2)
      const next = yield* openTrail(url, journaled(directory))
      const status = yield* until(next.log, (status) => (status.journal?.others.stuck.length ?? 0) > 0)
      expect(status.journal?.others.stuck.map(({ path }) => path)).toEqual([later.path])
    })
)

it.scopedLive("a source is registered before the first event is accepted", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, journaled(yield* journalFolder))
    expect(yield* query(url, "select source from gatekeeper.audit_source")).toEqual([
      { source: (yield* trail.log.status).source }
    ])
  })
)
