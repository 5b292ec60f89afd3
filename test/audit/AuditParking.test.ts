import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { AuditRow } from "../../src/audit/encoding/AuditRow.ts"
import type { AuditStore } from "../../src/audit/store/AuditStore.ts"
import { DatabaseError } from "../../src/platform/postgres/DatabaseError.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder } from "../support/Journals.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  recordedIds,
  recordMany,
  settled,
  until
} from "../support/Trail.ts"

const refusal = new DatabaseError({ phase: "statement", sqlstate: "22000", reason: "refused" })

/** A store that takes no rows of which `refuses` is true, neither into the table nor as dead letters. */
const refusing =
  (refuses: (rows: ReadonlyArray<AuditRow>) => boolean) =>
  (store: typeof AuditStore.Service): typeof AuditStore.Service => ({
    ...store,
    append: (rows, options) =>
      Effect.suspend(() => (refuses(rows) ? Effect.fail(refusal) : store.append(rows, options))),
    deadLetter: (row, why) => Effect.suspend(() => (refuses([row]) ? Effect.fail(refusal) : store.deadLetter(row, why)))
  })

it.scopedLive(
  "rows that neither the table nor the dead letters accept fill the memory up to its bound only",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const database = { refuses: true }
      const trail = yield* openTrail(
        url,
        { ...journaled(yield* journalFolder), queueCapacity: 20, batchSize: 10, linger: 0 },
        refusing(() => database.refuses)
      )
      yield* recordMany(trail.log, 300)
      yield* until(trail.log, ({ aside }) => aside >= 20)
      let most = 0
      for (let turn = 0; turn < 100; turn++) {
        yield* Effect.sleep("20 millis")
        const { depth, in_journal_only } = yield* trail.log.status
        most = Math.max(most, depth - in_journal_only)
      }
      expect(most).toBeLessThanOrEqual(30)
      database.refuses = false
      const status = yield* settled(trail.log)
      expect(isConserved(status)).toBe(true)
      expect(status.counters.committed).toBe(300)
    }),
  60_000
)

it.scopedLive.each(["memory", "journal"] as const)(
  "in the mode %s, parked rows that fill the memory are tried again at shutdown, without a pause",
  (mode) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const database = { refuses: true }
      const trail = yield* openTrail(
        url,
        {
          ...(mode === "memory" ? {} : journaled(yield* journalFolder)),
          queueCapacity: 20,
          batchSize: 10,
          linger: 0
        },
        refusing(() => database.refuses)
      )
      const number = mode === "memory" ? 20 : 60
      yield* recordMany(trail.log, number)
      yield* until(trail.log, ({ aside }) => aside >= 20)
      database.refuses = false
      yield* trail.shutdown
      expect(trail.unwritten()).toBe(0)
      expect(yield* recordedIds(url)).toHaveLength(number)
    }),
  60_000
)

it.scopedLive(
  "when parked rows fill the memory, later rows wait, and the status says so until they are accepted",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const database = { refuses: true }
      const trail = yield* openTrail(
        url,
        { ...journaled(yield* journalFolder), queueCapacity: 20, batchSize: 10, linger: 0 },
        refusing((rows) => database.refuses && rows.some(({ action }) => action === "bad"))
      )
      yield* recordMany(trail.log, 20, { ...anEvent, action: "bad" })
      yield* recordMany(trail.log, 50)
      const status = yield* until(trail.log, ({ drain }) => drain === "paused")
      expect(status.drain_problem).toEqual(expect.stringContaining("fill the memory"))
      database.refuses = false
      const after = yield* settled(trail.log)
      expect(after.counters.committed).toBe(70)
      expect(after.drain).toBe("idle")
    }),
  60_000
)
