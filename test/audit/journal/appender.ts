import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import { identityOf, jsonOf } from "../../support/JournalFixture.ts"

const [directory = "", source = "", mode = "journal"] = process.argv.slice(2)

/** Appends for ever, and prints each number that it may promise: appended, or with the mode `fsync` on the disk. */
const appending = Effect.gen(function* () {
  const journal = yield* Journal.open({
    directory,
    identity: identityOf(source),
    quota: makeDiskQuota(2 ** 30),
    segmentBytes: 20_000,
    flushInterval: "5 millis"
  })
  let seq = 0
  for (;;) {
    for (let burst = 0; burst < 20; burst++) {
      seq += 1
      const problem = journal.append(seq, jsonOf(seq, 100 + (seq % 400)))
      if (problem !== undefined) return yield* Effect.dieMessage(problem.detail)
      const appended = seq
      if (mode === "fsync") {
        journal.whenSynced((failed) => {
          if (failed === undefined) process.stdout.write(`${appended}\n`)
        })
      } else process.stdout.write(`${appended}\n`)
    }
    journal.note({ lastSeq: seq, refused: 0, shed: 0 })
    if (seq % 100 === 0) journal.settle(Array.from({ length: 20 }, (_, place) => ({ seq: seq / 5 - place })))
    yield* Effect.sleep("1 millis")
  }
})

NodeRuntime.runMain(Effect.scoped(appending))
