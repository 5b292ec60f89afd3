import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { DatabaseError } from "../../src/platform/DatabaseError.ts"
import { journaled, journalFolder } from "./Journals.ts"
import { gatekeeperDatabase, isConserved, openTrail, recordMany, settled, until } from "./Trail.ts"

const refusal = new DatabaseError({ phase: "statement", sqlstate: "22000", reason: "refused" })

it.scopedLive(
  "rows that neither the table nor the dead letters take fill the memory up to its bound, and no further",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const database = { refuses: true }
      const trail = yield* openTrail(
        url,
        { ...journaled(yield* journalFolder), queueCapacity: 20, batchSize: 10, linger: 0 },
        (store) => ({
          ...store,
          append: (rows, options) =>
            Effect.suspend(() => (database.refuses ? Effect.fail(refusal) : store.append(rows, options))),
          deadLetter: (row, why) =>
            Effect.suspend(() => (database.refuses ? Effect.fail(refusal) : store.deadLetter(row, why)))
        })
      )
      yield* recordMany(trail.log, 300)
      yield* until(trail.log, ({ aside }) => aside >= 20)
      let most = 0
      for (let turn = 0; turn < 100; turn++) {
        yield* Effect.sleep("20 millis")
        const { beyond, depth } = yield* trail.log.status
        most = Math.max(most, depth - beyond)
      }
      expect(most).toBeLessThanOrEqual(30)
      database.refuses = false
      const status = yield* settled(trail.log)
      expect(isConserved(status)).toBe(true)
      expect(status.counters.committed).toBe(300)
    }),
  60_000
)
