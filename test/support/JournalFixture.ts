import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Journal from "../../src/audit/journal/Journal.ts"
import type { JournalFiles } from "../../src/audit/journal/JournalFiles.ts"
import type { JournalFrame, JournalReader } from "../../src/audit/journal/JournalReader.ts"
import { adopt, type OrphanedJournal } from "../../src/audit/journal/OrphanedJournal.ts"
import type { JournalIdentity } from "../../src/audit/journal/SegmentHeader.ts"
import { makeDiskQuota } from "../../src/audit/journal/Segments.ts"
import { identityOf, trail } from "./JournalFixtures.ts"
import { temporaryHome } from "./TemporaryHome.ts"

export { identityOf }

export const journalFolder = Effect.map(temporaryHome, (home) => Path.join(home, "journal"))

/** An event's JSON of about so many bytes, which no other number has. */
export const jsonOf = (seq: number, bytes = 120): string =>
  JSON.stringify({ action: "x".repeat(bytes), seq, text: `ünï \u001e 🜚 ${seq % 7}` })

export interface LifeOptions {
  readonly directory: string
  readonly source?: string
  readonly maxBytes?: number
  readonly segmentBytes?: number
  readonly files?: JournalFiles | undefined
  readonly flushInterval?: "10 millis" | "200 millis" | "1 hour"
  readonly identity?: Partial<JournalIdentity>
}

/** A journal in a scope of its own; `die` leaves its files as a process that is killed does. */
export const live = (options: LifeOptions) =>
  Effect.gen(function* () {
    const { directory, files, flushInterval = "1 hour", maxBytes = 2 ** 20, segmentBytes } = options
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const quota = makeDiskQuota(maxBytes)
    const journal = yield* Journal.open({
      directory,
      identity: identityOf(options.source ?? crypto.randomUUID(), options.identity),
      quota,
      segmentBytes,
      flushInterval,
      files
    }).pipe(Scope.extend(scope))
    return { journal, quota, die: Scope.close(scope, Exit.void) }
  })
export type Life = Effect.Effect.Success<ReturnType<typeof live>>

/** Takes a journal over in a scope of its own; `leave` lets go of it as a process that is killed does. */
export const takeOver = (path: string, options: { readonly files?: JournalFiles; readonly trail?: string } = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const quota = makeDiskQuota(2 ** 30)
    const outcome = yield* adopt(path, { trail: options.trail ?? trail, quota, files: options.files }).pipe(
      Scope.extend(scope)
    )
    return { outcome, quota, leave: Scope.close(scope, Exit.void) }
  })

export const adopted = (path: string, options: { readonly files?: JournalFiles } = {}) =>
  Effect.flatMap(takeOver(path, options), ({ leave, outcome, quota }) =>
    outcome._tag === "adopted"
      ? Effect.succeed({ dead: outcome.journal satisfies OrphanedJournal, quota, leave })
      : Effect.dieMessage(`expected an adopted journal, got ${outcome._tag}`)
  )

/** All that a reader gives until it has caught up, in readings of different lengths. */
export const readAll = (reader: JournalReader) =>
  Effect.gen(function* () {
    const frames: Array<JournalFrame> = []
    let quarantined = 0
    for (let length = 1; ; length = (length * 3) % 200) {
      const reading = yield* reader.next(length)
      frames.push(...reading.frames)
      quarantined += reading.quarantined
      if (reading.caughtUp) return { frames, quarantined }
    }
  })

export const synced = (journal: Journal.Journal) =>
  Effect.async<string | undefined>((resume) => journal.whenSynced((problem) => resume(Effect.succeed(problem?.detail))))

export const segmentsIn = (path: string) =>
  Effect.promise(async () => {
    const names = (await Fs.readdir(path).catch(() => [])).filter((name) => name.endsWith(".segment")).toSorted()
    return Promise.all(
      names.map(async (name) => ({ path: Path.join(path, name), size: (await Fs.stat(Path.join(path, name))).size }))
    )
  })

export const bytesIn = (path: string) =>
  Effect.map(segmentsIn(path), (segments) => segments.reduce((sum, { size }) => sum + size, 0))

/** Appends events with the numbers from `from` on, and gives them. */
export const appendMany = (journal: Journal.Journal, number: number, from = 1): ReadonlyArray<JournalFrame> =>
  Array.from({ length: number }, (_, place) => {
    const frame = { seq: from + place, json: jsonOf(from + place) }
    const problem = journal.append(frame.seq, frame.json)
    if (problem !== undefined) throw new Error(problem.detail)
    return frame
  })
