import * as Fs from "node:fs/promises"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder, journalsIn } from "../support/Journals.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  withLogs
} from "../support/Trail.ts"

const blocked = Effect.map(Effect.makeLatch(false), (gate) => ({
  gate,
  around: (store: Parameters<NonNullable<Parameters<typeof openTrail>[2]>>[0]) => ({
    ...store,
    append: (rows: Parameters<typeof store.append>[0], options: Parameters<typeof store.append>[1]) =>
      Effect.zipRight(gate.await, store.append(rows, options))
  })
}))

it.scopedLive("rows that do not fit into memory are read back from the journal, in order, once each", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const { around, gate } = yield* blocked
    const trail = yield* openTrail(url, { ...journaled(directory), queueCapacity: 20, batchSize: 30 }, around)
    const ids = yield* recordMany(trail.log, 1_000)
    const full = yield* trail.log.status
    expect(full).toMatchObject({ depth: 1_000, accepting: true })
    expect(full.in_journal_only).toBeGreaterThanOrEqual(1_000 - 20 - 30)
    yield* gate.open
    const during = yield* recordMany(trail.log, 200)
    const status = yield* settled(trail.log)
    expect(status).toMatchObject({ in_journal_only: 0, counters: { committed: 1_200, passedOver: 0 } })
    expect(isConserved(status)).toBe(true)
    expect(yield* query(url, "select id from gatekeeper.audit_log order by seq")).toEqual(
      [...ids, ...during].map((id) => ({ id }))
    )
    yield* trail.shutdown
    expect(yield* journalsIn(directory)).toEqual([])
  })
)

it.scopedLive(
  "rows that the database did not accept before the shutdown stay in the journal, and the next start writes them",
  () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const directory = yield* journalFolder
        const { around } = yield* blocked
        const options = { queueCapacity: 10, shutdownDeadline: "300 millis" } as const
        const first = yield* openTrail(url, { ...journaled(directory), ...options }, around)
        const ids = yield* recordMany(first.log, 100)
        const { source } = yield* first.log.status
        yield* first.shutdown
        expect(lines.filter((line) => line.includes("100 audit events are not in the database yet"))).toHaveLength(1)
        // Nothing is lost, so no loss is reported.
        expect(first.unwritten()).toBe(0)
        expect(yield* journalsIn(directory)).toEqual([source])

        const second = yield* openTrail(url, journaled(directory))
        yield* until(second.log, (status) => status.journal?.others.adopted === 1)
        expect(yield* recordedIds(url)).toEqual(ids)
        const sources = "select last_seq, signed_off_seq, committed from gatekeeper.audit_source where source = $1"
        expect(yield* query(url, sources, [source])).toEqual([
          { last_seq: "100", signed_off_seq: "100", committed: "100" }
        ])
        expect(yield* journalsIn(directory)).toEqual([(yield* second.log.status).source])
      })
    )
)

it.scopedLive("a full journal refuses events, and accepts them again once the database has its rows", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const { around, gate } = yield* blocked
    const trail = yield* openTrail(url, journaled(directory, "journal", { maxBytes: 64 * 1_024 }), around)
    const taken: Array<string> = []
    let refusal: { readonly reason: string } | undefined
    while (refusal === undefined && taken.length < 10_000) {
      const outcome = yield* Effect.either(trail.log.record(anEvent))
      if (outcome._tag === "Right") taken.push(outcome.right)
      else refusal = outcome.left
    }
    expect(refusal).toMatchObject({ _tag: "AuditUnavailable", reason: "full" })
    expect(taken.length).toBeGreaterThan(50)
    const full = yield* trail.log.status
    expect(full).toMatchObject({ accepting: false, journal: { problem: expect.stringContaining("bytes are used") } })
    expect(full.journal?.bytes).toBeLessThanOrEqual(64 * 1_024)
    yield* gate.open
    yield* settled(trail.log)
    for (let round = 0; round < 500; round++) {
      taken.push(yield* trail.log.record(anEvent))
      if (round % 50 === 0) yield* settled(trail.log)
    }
    const status = yield* settled(trail.log)
    expect(status).toMatchObject({ accepting: true, counters: { refused: 1 }, journal: { problem: null } })
    expect(yield* recordedIds(url)).toEqual(taken)
  })
)

it.scopedLive("a trail in memory leaves its counts in the journal, and no event", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const trail = yield* openTrail(url, journaled(directory, "memory"))
    yield* recordMany(trail.log, 10)
    yield* settled(trail.log)
    const { source } = yield* trail.log.status
    const files = yield* Effect.promise(() => Fs.readdir(`${directory}/${source}`))
    expect(files.toSorted()).toEqual(["lock", "state"])
    yield* trail.shutdown
    expect(yield* journalsIn(directory)).toEqual([])
  })
)
