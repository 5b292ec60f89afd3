import * as Fs from "node:fs"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as OrphanedJournal from "../../../src/audit/journal/OrphanedJournal.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import type { Faults } from "../../support/FaultyDisk.ts"
import { damage, type Injuries, injuries } from "../../support/FileCorruption.ts"
import { bytesIn, readAll, segmentsIn, trail } from "../../support/JournalFixtures.ts"
import { type Life, live } from "../../support/JournalModel.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

type Step =
  | { readonly do: "append"; readonly texts: ReadonlyArray<string> }
  | { readonly do: "settle"; readonly share: number; readonly every: number }
  | { readonly do: "note"; readonly refused: number; readonly shed: number }
  | { readonly do: "read"; readonly share: number }
  | { readonly do: "fault"; readonly kind: keyof Faults; readonly times: number }
  | { readonly do: "sync" | "heal" }

const share = FastCheck.double({ min: 0, max: 1, noNaN: true })
const texts = FastCheck.array(FastCheck.string({ unit: "binary", maxLength: 200 }), { minLength: 1, maxLength: 12 })
const kinds: ReadonlyArray<keyof Faults> = [
  "ENOSPC",
  "EIO",
  "short",
  "cutShort",
  "truncate",
  "create",
  "rename",
  "fdatasync",
  "syncDirectory",
  "unlink",
  "state"
]

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.record({ do: FastCheck.constant("append" as const), texts }) },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("settle" as const),
      share,
      every: FastCheck.integer({ min: 1, max: 3 })
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("note" as const),
      refused: FastCheck.nat({ max: 3 }),
      shed: FastCheck.nat({ max: 3 })
    })
  },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("read" as const), share }) },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("fault" as const),
      kind: FastCheck.constantFrom(...kinds),
      times: FastCheck.integer({ min: 1, max: 3 })
    })
  },
  { weight: 3, arbitrary: FastCheck.record({ do: FastCheck.constantFrom("sync" as const, "heal" as const) }) }
)

const plan = FastCheck.record({
  segmentBytes: FastCheck.integer({ min: 500, max: 4_000 }),
  maxBytes: FastCheck.constantFrom(6_000, 20_000, 2 ** 20),
  steps: FastCheck.array(step, { minLength: 1, maxLength: 25 }),
  end: FastCheck.constantFrom("die" as const, "end" as const),
  injuries
})

const take = (life: Life, one: Step): Effect.Effect<void> => {
  switch (one.do) {
    case "append":
      return Effect.sync(() => one.texts.forEach(life.append))
    case "settle":
      return Effect.sync(() => life.settle(one.share, one.every))
    case "note":
      return Effect.sync(() => life.note(one.refused, one.shed))
    case "read":
      return life.read(one.share)
    case "fault":
      return Effect.sync(() => {
        life.disk.faults[one.kind] += one.times
      })
    case "sync":
      return Effect.asVoid(life.sync)
    case "heal":
      return life.heal
  }
}

/** What an incarnation left, as the process that recovers it must find it. */
const inherit = (life: Life, hurt: Injuries) =>
  Effect.gen(function* () {
    const { lost, mayBeUnusable, slots } = damage(life, hurt)
    const quota = makeDiskQuota(life.maxBytes)
    const adopt = Effect.gen(function* () {
      const outcome = yield* OrphanedJournal.adopt(life.path, { trail, quota })
      if (outcome._tag !== "adopted") return outcome
      expect(quota.used()).toBe(bytesIn(life.path))
      const { journal } = outcome
      const all = yield* readAll(journal.readAfter(0))
      const pending = yield* readAll(journal.readAfter(journal.acknowledged))
      life.check(all, lost)
      life.check(pending, lost)
      expect([journal.scan.frames, journal.scan.pending]).toEqual([all.length, pending.length])
      life.checkCounts(journal.counts, slots, lost)
      expect(life.unsettled().filter((seq) => seq <= journal.acknowledged && !lost.has(seq))).toEqual([])
      return { ...outcome, pending }
    })

    const first = yield* Effect.scoped(
      Effect.gen(function* () {
        const outcome = yield* adopt
        if (outcome._tag !== "adopted") return outcome
        const half = outcome.pending.slice(0, Math.ceil(outcome.pending.length / 2))
        outcome.journal.settle(half)
        life.settled(half.map(({ seq }) => seq))
        expect(quota.used()).toBe(bytesIn(life.path))
        return outcome
      })
    ).pipe(Effect.either)
    expect(quota.used()).toBe(0)
    if (first._tag === "Left") return expect(mayBeUnusable, first.left.message).toBe(true)
    if (first.right._tag !== "adopted") {
      expect(["empty", "damaged"]).toContain(first.right._tag)
      return expect(mayBeUnusable).toBe(true)
    }
    const quarantined = first.right.journal.status().quarantined

    yield* Effect.scoped(
      Effect.gen(function* () {
        const outcome = yield* adopt
        if (outcome._tag === "damaged") {
          // All of it was settled, and the file that would have said so is damaged.
          expect([slots, segmentsIn(life.path)]).toEqual(["none", []])
          return
        }
        if (outcome._tag !== "adopted") return expect(outcome._tag).toBe("adopted")
        expect(outcome.journal.status().quarantined).toBe(quarantined)
        outcome.journal.settle(outcome.pending)
        expect(outcome.journal.status().pendingFrames).toBe(0)
        if (outcome.pending.length > 0) {
          expect(quota.used()).toBe(0)
          expect(segmentsIn(life.path)).toEqual([])
        }
        yield* outcome.journal.remove
        expect(Fs.existsSync(life.path)).toBe(false)
      })
    )
    expect(quota.used()).toBe(0)
  })

it(
  "whatever happens to process and disk, each event is read once and in order, but for those that the damage touched",
  () =>
    FastCheck.assert(
      FastCheck.asyncProperty(plan, ({ end, injuries: hurt, maxBytes, segmentBytes, steps }) =>
        Effect.gen(function* () {
          const directory = Path.join(yield* temporaryHome, "journal")
          const life = yield* live({ directory, maxBytes, segmentBytes })
          for (const one of steps) {
            yield* take(life, one)
            life.checkRoom()
          }
          yield* end === "end" ? life.end : life.die
          yield* inherit(life, hurt)
        }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 160 }
    ),
  60_000
)
