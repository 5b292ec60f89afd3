import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type JournalFiles, nodeFiles } from "../../../src/audit/journal/JournalFiles.ts"
import { maxHeader } from "../../../src/audit/journal/SegmentHeader.ts"
import { failure } from "../../support/FaultyDisk.ts"
import { adopted, appendMany, journalFolder, jsonOf, live, readAll } from "../../support/JournalFixture.ts"

it.scopedLive.each([true, false])(
  "more failed files than a header can name are never taken for events (files can be removed: %s)",
  (isRemovable) =>
    Effect.gen(function* () {
      const disk = { fails: false, longest: 0 }
      const files: JournalFiles = {
        ...nodeFiles,
        write: (fd, bytes, offset, length, position) => {
          if (position === 0 && length !== 2_048 && length !== 4_096) disk.longest = Math.max(disk.longest, length)
          const written = nodeFiles.write(fd, bytes, offset, length, position)
          if (disk.fails && position > 0) throw failure("EIO")
          return written
        },
        truncate: (fd, length) => {
          if (disk.fails) throw failure("EIO")
          nodeFiles.truncate(fd, length)
        },
        unlink: (path) => {
          if (disk.fails && !isRemovable && path.endsWith(".segment")) throw failure("EIO")
          nodeFiles.unlink(path)
        }
      }
      const { die, journal } = yield* live({ directory: yield* journalFolder, maxBytes: 2 ** 30, files })
      const [first] = appendMany(journal, 1)
      disk.fails = true
      for (let turn = 0; turn < 900; turn++)
        expect(journal.append(2, jsonOf(2, 10))).toMatchObject({ reason: "failing" })
      expect(disk.longest).toBeLessThanOrEqual(maxHeader)
      disk.fails = false
      const later = appendMany(journal, 2, 2)
      yield* die
      const { dead } = yield* adopted(journal.path)
      expect((yield* readAll(dead.readAfter(0))).frames).toEqual([first, ...later])
      expect(dead.scan).toMatchObject({ frames: 3, quarantined: 0 })
    })
)
