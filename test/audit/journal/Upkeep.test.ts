import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { appendMany, journalFolder, jsonOf, live } from "../../support/JournalFixture.ts"
import { withLogs } from "../../support/Trail.ts"

it.scopedLive("the upkeep continues after a defect, and the log names it", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const { journal, quota } = yield* live({ directory, maxBytes: 20_000, flushInterval: "10 millis" })
      appendMany(journal, 2)
      const { used } = quota
      expect(journal.append(3, jsonOf(3, 30_000))).toMatchObject({ reason: "full" })
      Object.assign(quota, {
        used: () => {
          throw new Error("an unexpected defect")
        }
      })
      yield* Effect.sleep("100 millis")
      Object.assign(quota, { used })
      yield* Effect.sync(() => journal.status().problem).pipe(
        Effect.filterOrFail((problem) => problem === null),
        Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("10 seconds")))
      )
      expect(lines.filter((line) => line.startsWith("ERROR") && line.includes("an unexpected defect"))).not.toEqual([])
    })
  )
)

it.scopedLive(
  "a sync starts early when many bytes wait for it",
  () =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      const { journal } = yield* live({ directory, maxBytes: 2 ** 30, flushInterval: "1 hour" })
      // 20 MiB, of the 64 MiB beyond which nothing more is taken.
      for (let seq = 1; seq <= 100; seq++) expect(journal.append(seq, jsonOf(seq, 200_000))).toBeUndefined()
      yield* Effect.sync(() => journal.status().unsyncedBytes).pipe(
        Effect.filterOrFail((bytes) => bytes < 8 * 2 ** 20),
        Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("20 seconds")))
      )
    }),
  30_000
)
