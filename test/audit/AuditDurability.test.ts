import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type JournalFiles, nodeFiles } from "../../src/audit/journal/JournalFiles.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder } from "../support/Journals.ts"
import { gatekeeperDatabase, isConserved, openTrail, query, settled, untilRows } from "../support/Trail.ts"

const withdrawals = "select reason, metadata, request_id, ghost_id from gatekeeper.audit_log where result = 'WITHDRAWN'"

/** A disk that, from `hold` on, holds each sync back until it is released. */
const slowDisk = Effect.gen(function* () {
  const held: Array<() => void> = []
  const disk = { syncs: 0, holding: false, hold: () => {}, release: () => {} }
  disk.hold = () => {
    disk.syncs = 0
    disk.holding = true
  }
  disk.release = () => {
    disk.holding = false
    for (const go of held.splice(0)) go()
  }
  const files: JournalFiles = {
    ...nodeFiles,
    fdatasync: async (fd) => {
      disk.syncs += 1
      if (disk.holding) await new Promise<void>((resolve) => held.push(resolve))
      return nodeFiles.fdatasync(fd)
    }
  }
  return { disk, files }
})

it.scopedLive("in the mode fsync an answer waits for the disk, and those that wait together share one sync", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { disk, files } = yield* slowDisk
    const trail = yield* openTrail(url, journaled(yield* journalFolder, "fsync", { files, flushInterval: "1 minute" }))
    disk.hold()
    const answers = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.fork(trail.log.record(anEvent)))
    yield* Effect.sleep("50 millis")
    expect((yield* Effect.forEach(answers, Fiber.poll)).filter((exit) => exit._tag === "Some")).toEqual([])
    disk.release()
    const ids = yield* Effect.forEach(answers, Fiber.join)
    expect(new Set(ids).size).toBe(50)
    expect(disk.syncs).toBeLessThanOrEqual(3)
  })
)

it.scopedLive("an answer that the disk does not confirm is not given, and the trail says so", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { disk, files } = yield* slowDisk
    const trail = yield* openTrail(url, {
      ...journaled(yield* journalFolder, "fsync", { files }),
      commitDeadline: "100 millis"
    })
    disk.hold()
    const refusal = yield* Effect.flip(trail.log.record(anEvent))
    expect(refusal).toMatchObject({ _tag: "AuditUnavailable", reason: "unconfirmed" })
    disk.release()
    const [row] = yield* query(url, "select id from gatekeeper.audit_log where result = 'ALLOWED'").pipe(
      Effect.delay("200 millis")
    )
    expect(yield* untilRows(url, withdrawals, (rows) => rows.length > 0)).toEqual([
      {
        reason: `the answer of event ${row?.["id"]} was not given: the journal's disk did not confirm the event within 100ms`,
        metadata: { audit_id: row?.["id"], why: "the journal's disk did not confirm the event within 100ms" },
        request_id: anEvent.requestId,
        ghost_id: anEvent.ghostId
      }
    ])
  })
)

it.scopedLive("an event is recorded at once where its answer waits for nothing, and only with an identity", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const durability = { default: "journal", byResult: { DENIED: "fsync", INVALID: "commit" } } as const
    const trail = yield* openTrail(url, { ...journaled(yield* journalFolder, "journal"), durability })
    const headers = { ":given-ids": "request", traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` }
    const recordAtOnce = (event: AuditEvent) => trail.log.recordAtOnce?.(event, { headers })
    const others = [
      { ...anEvent, result: "DENIED" as const },
      { ...anEvent, result: "INVALID" as const },
      { ...anEvent, ghostId: null }
    ]
    for (const event of others) expect(recordAtOnce(event)).toBeUndefined()
    const id = recordAtOnce(anEvent)
    const found = "select id, result, marks, metadata ->> 'trace_id' as trace from gatekeeper.audit_log"
    expect(yield* untilRows(url, found, (rows) => rows.length > 0)).toEqual([
      { id, result: "ALLOWED", marks: ["request_id:given"], trace: "1".repeat(32) }
    ])
  })
)

it.scopedLive("in the mode commit an answer means a row", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { ...journaled(yield* journalFolder, "commit"), linger: "1 minute" })
    const [took, id] = yield* Effect.timed(trail.log.record(anEvent))
    expect(yield* query(url, "select id from gatekeeper.audit_log")).toEqual([{ id }])
    // The writer does not linger while an answer waits.
    expect(Duration.toMillis(took)).toBeLessThan(5_000)
  })
)

it.scopedLive("an answer that the database does not confirm is not given; its event is withdrawn when it comes", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(
      url,
      { ...journaled(yield* journalFolder, "commit"), commitDeadline: "100 millis" },
      (store) => ({ ...store, append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options)) })
    )
    const refusal = yield* Effect.flip(trail.log.record(anEvent))
    expect(refusal).toMatchObject({ reason: "unconfirmed" })
    expect(refusal.message).toContain("outcome is unknown")
    yield* gate.open
    yield* settled(trail.log)
    const rows = yield* query(url, "select id, result, metadata from gatekeeper.audit_log order by seq")
    expect(rows.map((row) => row["result"])).toEqual(["ALLOWED", "WITHDRAWN"])
    expect(rows[1]?.["metadata"]).toMatchObject({ audit_id: rows[0]?.["id"] })
  })
)

it.scopedLive(
  "what would wait for too long is refused at once, without an event; counted, and taken again when it is made up for",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const gate = yield* Effect.makeLatch(false)
      const trail = yield* openTrail(
        url,
        { ...journaled(yield* journalFolder, "commit"), commitDeadline: "100 millis" },
        (store) => ({ ...store, append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options)) })
      )
      expect(yield* trail.log.accepting).toBe(true)
      expect(yield* Effect.flip(trail.log.record(anEvent))).toMatchObject({ reason: "unconfirmed" })
      const before = yield* trail.log.status
      expect(yield* trail.log.accepting).toBe(false)
      const refusals = yield* Effect.replicateEffect(Effect.flip(trail.log.record(anEvent)), 10)
      for (const refusal of refusals) expect(refusal).toMatchObject({ _tag: "AuditUnavailable", reason: "behind" })
      const after = yield* trail.log.status
      expect(after.depth).toBe(before.depth)
      expect(after.counters.refused).toBe(before.counters.refused + 10)
      expect(isConserved(after)).toBe(true)
      yield* gate.open
      yield* settled(trail.log)
      const id = yield* trail.log.record(anEvent).pipe(Effect.retry({ times: 5 }))
      expect(
        yield* query(url, "select id from gatekeeper.audit_log where result = 'ALLOWED' order by seq offset 1")
      ).toContainEqual({ id })
    })
)

it.scopedLive("a caller that leaves before its answer leaves a word in the trail", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { disk, files } = yield* slowDisk
    const trail = yield* openTrail(url, journaled(yield* journalFolder, "fsync", { files }))
    disk.hold()
    const answer = yield* Effect.fork(trail.log.record(anEvent))
    yield* Effect.sleep("20 millis")
    yield* Fiber.interrupt(answer)
    disk.release()
    const [row] = yield* untilRows(url, withdrawals, (rows) => rows.length > 0)
    expect(row?.["metadata"]).toMatchObject({ why: "the caller left before the answer" })
  })
)

it.scopedLive("some results may wait for more than others", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { disk, files } = yield* slowDisk
    const trail = yield* openTrail(url, {
      ...journaled(yield* journalFolder, "journal", { files, flushInterval: "1 minute" }),
      durability: { default: "journal", byResult: { DENIED: "fsync" } }
    })
    disk.hold()
    const denied: AuditEvent = { ...anEvent, result: "DENIED" }
    yield* trail.log.record(anEvent)
    expect(disk.syncs).toBe(0)
    const answer = yield* Effect.fork(trail.log.record(denied))
    yield* Effect.sleep("50 millis")
    expect(yield* Fiber.poll(answer)).toMatchObject({ _tag: "None" })
    disk.release()
    yield* Fiber.join(answer)
    expect((yield* trail.log.status).mode).toBe("journal DENIED=fsync")
  })
)
