import * as Path from "node:path"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Counts } from "../../src/audit/journal/CheckpointFile.ts"
import * as Journal from "../../src/audit/journal/Journal.ts"
import type { JournalFrame } from "../../src/audit/journal/JournalReader.ts"
import type { JournalProblem } from "../../src/audit/journal/JournalStatus.ts"
import { makeDiskQuota } from "../../src/audit/journal/Segments.ts"
import { faultyDisk } from "./FaultyDisk.ts"
import type { SlotsLeft } from "./JournalFixtures.ts"
import { bytesIn, eventWith, identityOf, readAll } from "./JournalFixtures.ts"

/** A living journal beside what a simple model says of it. */
export const live = (options: {
  readonly directory: string
  readonly maxBytes: number
  readonly segmentBytes: number
}) =>
  Effect.gen(function* () {
    const { directory, maxBytes, segmentBytes } = options
    const source = crypto.randomUUID()
    const quota = makeDiskQuota(maxBytes)
    const disk = faultyDisk()
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const journal = yield* Journal.open({
      directory,
      identity: identityOf(source),
      quota,
      segmentBytes,
      flushInterval: "1 hour",
      files: disk.files
    }).pipe(Scope.extend(scope))

    const events = new Map<number, { readonly json: string; settled: boolean }>()
    const notes: Array<Counts> = [{ lastSeq: 0, refused: 0, shed: 0 }]
    let given = 0
    let attempts = 0
    let counts: Counts = { lastSeq: 0, refused: 0, shed: 0 }

    const unsettled = () => [...events].flatMap(([seq, { settled }]) => (settled ? [] : [seq]))

    const settled = (seqs: ReadonlyArray<number>) => {
      for (const seq of seqs) {
        const event = events.get(seq)
        if (event !== undefined) event.settled = true
      }
    }
    const settle = (seqs: ReadonlyArray<number>) => {
      journal.settle(seqs.map((seq) => ({ seq })))
      settled(seqs)
    }

    const tryAppend = (text: string): JournalProblem | undefined => {
      attempts += 1
      const json = eventWith(given + 1, `${attempts} ${text}`)
      const refusal = journal.append(given + 1, json)
      if (refusal !== undefined) return refusal
      given += 1
      events.set(given, { json, settled: false })
      return undefined
    }

    const append = (text: string) => {
      const wasWell = disk.isWell()
      const refusal = tryAppend(text)
      if (refusal?.reason !== "full") {
        if (wasWell) expect(refusal).toBeUndefined()
        return
      }
      // A journal that is full takes events again as soon as what it holds is settled.
      if (!wasWell) return
      settle(unsettled())
      expect(tryAppend(text)).toBeUndefined()
    }

    const sync = Effect.async<JournalProblem | undefined>((resume) =>
      journal.whenSynced((found) => resume(Effect.succeed(found)))
    ).pipe(
      Effect.tap((found) => {
        if (found === undefined) expect(journal.status().unsyncedBytes).toBe(0)
      })
    )

    /** Each event that is not settled and not lost, once, in order, as it was appended; and none that was not. */
    const check = (frames: ReadonlyArray<JournalFrame>, lost: ReadonlySet<number>, after = 0) => {
      const seqs = frames.map(({ seq }) => seq)
      expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b))
      for (const { json, seq } of frames) expect({ seq, json }).toEqual({ seq, json: events.get(seq)?.json })
      const read = new Set(seqs)
      expect(unsettled().filter((seq) => seq > after && !read.has(seq) && !lost.has(seq))).toEqual([])
    }

    return {
      path: Path.join(directory, source),
      maxBytes,
      disk,
      append,
      settled,
      unsettled,
      sync,
      check,
      appended: () => [...events].map(([seq, { json }]) => ({ seq, json })),
      settle: (share: number, every: number) => {
        const some = unsettled().filter((_, index) => index % every === 0)
        settle(some.slice(0, Math.ceil(some.length * share)))
      },
      note: (refused: number, shed: number) => {
        given += shed
        counts = { lastSeq: given, refused: counts.refused + refused, shed: counts.shed + shed }
        journal.note(counts)
        notes.push(counts)
      },
      read: (share: number) => {
        const after = Math.floor(given * share)
        return Effect.map(readAll(journal.readAfter(after)), (frames) => {
          check(frames, new Set(), after)
          expect(journal.status().quarantined).toBe(0)
        })
      },
      heal: Effect.suspend(() => {
        disk.heal()
        return Effect.map(sync, (found) => expect(found).toBeUndefined())
      }),
      checkRoom: () => {
        const { truncate, unlink } = disk.happened
        const inDirectory = bytesIn(Path.join(directory, source))
        if (truncate + unlink === 0) expect(quota.used()).toBe(inDirectory)
      },
      checkCounts: (found: Counts, slots: SlotsLeft, lost: ReadonlySet<number>) => {
        const isCertain = slots === "all" && disk.happened.state === 0
        // The slots are written in turn: the other one is but one write older.
        const back = isCertain ? 0 : slots === "none" || disk.happened.state > 0 ? notes.length : 1
        const place = notes.findLastIndex(({ refused, shed }) => refused === found.refused && shed === found.shed)
        expect(place).toBeGreaterThanOrEqual(Math.max(0, notes.length - 1 - back))
        expect(found.lastSeq).toBeLessThanOrEqual(given)
        const known = Math.max(counts.lastSeq, ...unsettled().filter((seq) => !lost.has(seq)))
        if (isCertain) expect(found.lastSeq).toBeGreaterThanOrEqual(known)
      },
      /** As a process that is killed. */
      die: Scope.close(scope, Exit.void),
      end: Effect.zipRight(journal.end({ remove: false }), Scope.close(scope, Exit.void))
    }
  })
export type Life = Effect.Effect.Success<ReturnType<typeof live>>
