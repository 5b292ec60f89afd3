import { spawn } from "node:child_process"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { adopted, journalFolder, jsonOf, readAll } from "../../support/JournalFixture.ts"
import { commandFor } from "../../support/Program.ts"

/** A process that appends until it is killed, so many milliseconds after its first word; gives what it had printed. */
const killed = (directory: string, source: string, mode: string, millis: number) =>
  Effect.async<{ readonly promised: ReadonlyArray<number>; readonly errors: string }>((resume) => {
    const [command, ...words] = commandFor("test/audit/journal/appender.ts")
    const child = spawn(command, [...words, directory, source, mode], { stdio: ["ignore", "pipe", "pipe"] })
    let printed = ""
    let errors = ""
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString("utf8")
    })
    child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), millis))
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString("utf8")
    })
    child.once("close", () => {
      // The last line may have been cut.
      const promised = printed
        .slice(0, printed.lastIndexOf("\n") + 1)
        .split("\n")
        .filter(Boolean)
        .map(Number)
      resume(Effect.succeed({ promised, errors }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

it.scopedLive.each(["journal", "fsync"])(
  "a process that is killed at any moment leaves all that it had promised (%s)",
  (mode) =>
    Effect.gen(function* () {
      const directory = yield* journalFolder
      for (const _round of [1, 2, 3]) {
        const source = crypto.randomUUID()
        const millis = yield* Random.nextIntBetween(0, 400)
        const { errors, promised } = yield* killed(directory, source, mode, millis)
        expect(errors).toBe("")
        expect(promised.length).toBeGreaterThan(0)
        const { dead, leave } = yield* adopted(Path.join(directory, source))
        const { frames } = yield* readAll(dead.readAfter(dead.acknowledged))
        const last = promised.at(-1) ?? 0
        expect([dead.scan.quarantined, dead.scan.gaps, dead.ended]).toEqual([0, [], false])
        expect(dead.counts.lastSeq).toBeGreaterThanOrEqual(last)
        const pending = Array.from(
          { length: dead.counts.lastSeq - dead.acknowledged },
          (_, n) => dead.acknowledged + 1 + n
        )
        expect(frames).toEqual(pending.map((seq) => ({ seq, json: jsonOf(seq, 100 + (seq % 400)) })))
        dead.settle(frames)
        yield* dead.remove
        yield* leave
      }
    }),
  60_000
)
