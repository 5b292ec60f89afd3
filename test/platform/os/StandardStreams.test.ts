import { Writable } from "node:stream"
import { expect, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { makeStream, throughStreams } from "../../../src/platform/os/StandardStreams.ts"

/** A stream whose reader stopped reading: the first write is never completed. */
const stuck = () => new Writable({ write: () => {}, highWaterMark: 1 })

const failing = (code: string) =>
  Object.assign(
    // The streams of a process stay usable after an error.
    new Writable({
      write: (_text, _encoding, done) => done(Object.assign(new Error("write"), { code })),
      autoDestroy: false
    })
  )

it("a reader that stopped reading costs log lines, not memory", () => {
  const below = stuck()
  const stream = makeStream(below)
  const line = `${"x".repeat(1_023)}\n`
  for (let count = 0; count < 4_096; count++) stream.log(line)
  expect(below.writableLength).toBeLessThan(1.1 * 2 ** 20)
  expect(stream.dropped()).toBeGreaterThan(3_000)
  expect(stream.problem()).toBe("EAGAIN")
  // The result of a command waits for its reader.
  stream.write(line.repeat(2_048))
  expect(below.writableLength).toBeGreaterThan(3 * 2 ** 20)
})

it("a write that fails is counted, named and called back, and the error ends nothing", async () => {
  const stream = makeStream(failing("ENOSPC"))
  await new Promise<void>((done) => stream.write("a line\n", done))
  expect(stream.dropped()).toBe(1)
  expect(stream.problem()).toBe("ENOSPC")
})

it.effect("a result is complete only once the system has accepted it; a log line does not wait", () =>
  Effect.gen(function* () {
    let accept = () => {}
    const accepted: Array<string> = []
    const slow = new Writable({
      write: (text, _encoding, done) => {
        accept = () => {
          accepted.push(String(text))
          done()
        }
      }
    })
    const streams = { stdout: makeStream(slow), stderr: makeStream(slow) }
    const printing = yield* Effect.fork(throughStreams(streams)(Console.log("\u001b[1mresult\u001b[0m %s", "of all")))
    yield* Effect.yieldNow()
    expect(yield* Fiber.poll(printing)).toMatchObject({ _tag: "None" })
    yield* throughStreams(streams)(Effect.log("a line"))
    accept()
    yield* Fiber.join(printing)
    expect(accepted).toEqual(["result of all\n"])
  })
)
