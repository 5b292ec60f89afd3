import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../src/audit/journal/JournalFiles.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder } from "../support/Journals.ts"
import { gatekeeperDatabase, openTrail, query, untilRows } from "../support/Trail.ts"

it.scopedLive.each(["commit", "fsync"] as const)(
  "an event that is shed in the mode %s is answered at once: nothing of it will ever be written",
  (mode) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const disk = { isFull: false }
      const files: JournalFiles = {
        ...nodeFiles,
        write: (fd, bytes, offset, length, position) => {
          if (disk.isFull) throw Object.assign(new Error("ENOSPC: write"), { code: "ENOSPC" })
          return nodeFiles.write(fd, bytes, offset, length, position)
        },
        // An answer that waited for it would wait in vain.
        fdatasync: (fd) => (disk.isFull ? new Promise(() => {}) : nodeFiles.fdatasync(fd))
      }
      const trail = yield* openTrail(url, {
        ...journaled(yield* journalFolder, "journal", { files, flushInterval: "1 minute" }),
        durability: { default: "journal", byResult: { DENIED: mode } },
        commitDeadline: "20 seconds",
        onFull: "shed"
      })
      yield* trail.log.record(anEvent)
      disk.isFull = true
      const [waited] = yield* Effect.timed(trail.log.record({ ...anEvent, result: "DENIED" }))
      expect(Duration.toMillis(waited)).toBeLessThan(10_000)
      disk.isFull = false
      yield* trail.log.record(anEvent)
      yield* untilRows(url, "select 1 from gatekeeper.audit_log where result = 'LOST'", (rows) => rows.length === 1)
      expect(yield* query(url, "select 1 from gatekeeper.audit_log where result = 'WITHDRAWN'")).toEqual([])
    }),
  60_000
)
