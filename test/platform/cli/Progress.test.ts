import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { withProgress } from "../../../src/platform/cli/TerminalText.ts"

describe("long work", () => {
  it.effect("says every five seconds that it still runs, and no more once it is done", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const work = yield* withProgress("0002_b.sql:3", Effect.as(Effect.sleep("12 seconds"), "done")).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Effect.fork
      )
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(work)).toBe("done")
      expect(lines).toEqual(["0002_b.sql:3: running for 5s", "0002_b.sql:3: running for 10s"])
    })
  )
})
