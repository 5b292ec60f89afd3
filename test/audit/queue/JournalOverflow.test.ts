import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { overflowOf, overflowOfDead } from "../../../src/audit/queue/JournalOverflow.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { adopted, journalFolder, live } from "../../support/JournalFixture.ts"

it.scopedLive("a record that is whole and no event is kept in the quarantine, and the others come through", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    const { die, journal } = yield* live({ directory })
    const strange = JSON.stringify({ of: "a later program" })
    const source = Path.basename(journal.path)
    for (const row of rowsOf(3, { source })) {
      journal.append(row.seq, row.seq === 2 ? strange : canonicalJson(row))
    }
    const kept = () =>
      Effect.promise(async () => {
        const folder = Path.join(directory, "quarantine", source)
        const names = await Fs.readdir(folder)
        return Promise.all(names.map((name) => Fs.readFile(Path.join(folder, name), "utf8")))
      })
    const living = yield* overflowOf(journal).readAfter(0).next(10)
    expect(living).toMatchObject({ rows: [{ seq: 1 }, { seq: 3 }], passedOver: 1 })
    expect(yield* kept()).toEqual([strange])
    expect(journal.status()).toMatchObject({ pendingFrames: 2, quarantined: 1 })
    yield* die
    const { dead } = yield* adopted(journal.path)
    yield* overflowOfDead(dead, 0).readAfter(0).next(10)
    expect(yield* dead.remove).toBe(true)
    expect(yield* kept()).toEqual([strange])
  })
)
