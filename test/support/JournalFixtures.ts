import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type { JournalFrame, JournalReader } from "../../src/audit/journal/JournalReader.ts"
import type { JournalIdentity } from "../../src/audit/journal/SegmentHeader.ts"

export const trail = "00000000-0000-4000-8000-000000000001"

export const identityOf = (source: string, more: Partial<JournalIdentity> = {}): JournalIdentity => ({
  trail,
  source,
  bootId: "boot",
  startedAt: 1,
  host: "here",
  pid: process.pid,
  durability: "journal",
  ...more
})

/** An event's text as the recorder would make it: no raw control character, and its number in it. */
export const eventWith = (seq: number, text: string): string => JSON.stringify({ reason: text, seq })

/** The segment files of a journal, oldest first. */
export const segmentsIn = (path: string): ReadonlyArray<string> =>
  Fs.readdirSync(path)
    .filter((name) => name.endsWith(".segment"))
    .toSorted()
    .map((name) => Path.join(path, name))

export const bytesIn = (path: string): number => segmentsIn(path).reduce((sum, file) => sum + Fs.statSync(file).size, 0)

/** All that a reader has. */
export const readAll = (reader: JournalReader, max = 7): Effect.Effect<ReadonlyArray<JournalFrame>> =>
  Effect.gen(function* () {
    const all: Array<JournalFrame> = []
    for (;;) {
      const { caughtUp, frames } = yield* reader.next(max)
      all.push(...frames)
      if (caughtUp) return all
    }
  })

/** Where a text is in a file, with the head of the frame around it; undefined where it is not. */
export const frameAt = (bytes: Buffer, json: string): { readonly from: number; readonly to: number } | undefined => {
  const text = Buffer.from(json)
  const at = bytes.indexOf(text)
  return at < 0 ? undefined : { from: at - 20, to: at + text.length }
}

/** Which of the slots of `state` that were written are whole. */
export type SlotsLeft = "all" | "one" | "none"
