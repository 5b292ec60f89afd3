import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { failure } from "../../support/FaultyDisk.ts"
import { adopted, appendMany, journalFolder, live, takeOver } from "../../support/JournalFixture.ts"

const blind = {
  ...nodeFiles,
  read: (path: string, bytes: Uint8Array, length: number, position: number) =>
    Path.basename(path) === "state"
      ? Promise.reject(failure("EIO", path))
      : nodeFiles.read(path, bytes, length, position)
}

it.scopedLive.each([0, 3])(
  "a state that cannot be read now is not taken for none: its counts are there the next time (%d events)",
  (events) =>
    Effect.gen(function* () {
      const { die, journal } = yield* live({ directory: yield* journalFolder })
      appendMany(journal, events)
      journal.note({ lastSeq: events + 2, refused: 5, shed: 2 })
      yield* die
      const trouble = yield* Effect.flip(Effect.scoped(takeOver(journal.path, { files: blind })))
      expect(trouble).toMatchObject({ _tag: "JournalUnusable", reason: expect.stringContaining("EIO") })
      const { dead } = yield* adopted(journal.path)
      expect(dead.counts).toEqual({ lastSeq: events + 2, refused: 5, shed: 2 })
    })
)

it.scopedLive("a journal whose state is gone is read from its segments", () =>
  Effect.gen(function* () {
    const { die, journal } = yield* live({ directory: yield* journalFolder })
    appendMany(journal, 3)
    yield* die
    yield* Effect.promise(() => Fs.rm(Path.join(journal.path, "state")))
    const { dead } = yield* adopted(journal.path)
    expect(dead).toMatchObject({ counts: { lastSeq: 3, refused: 0, shed: 0 }, scan: { pending: 3 } })
  })
)

it.scopedLive("a directory with nothing but a state that is damaged is told as such, and the state is kept aside", () =>
  Effect.gen(function* () {
    const { die, journal } = yield* live({ directory: yield* journalFolder })
    journal.note({ lastSeq: 2, refused: 5, shed: 2 })
    yield* die
    const source = Path.basename(journal.path)
    const state = Path.join(journal.path, "state")
    yield* Effect.promise(() => Fs.writeFile(state, Buffer.alloc(4_096)))
    // The recovering process may die before the source is closed.
    for (const _try of [1, 2]) {
      const { leave, outcome } = yield* takeOver(journal.path)
      expect(outcome).toMatchObject({ _tag: "damaged", source })
      yield* leave
    }
    const quarantine = Path.join(Path.dirname(journal.path), "quarantine", source)
    expect(yield* Effect.promise(() => Fs.readdir(quarantine))).toEqual(["state.damaged"])
    const { outcome } = yield* takeOver(journal.path)
    if (outcome._tag === "damaged") expect(yield* outcome.remove).toBe(true)
    expect(yield* Effect.promise(() => Fs.readdir(Path.dirname(journal.path)))).toEqual(["quarantine"])
  })
)
