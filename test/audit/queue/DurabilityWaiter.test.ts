import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isBehind } from "../../../src/audit/queue/DurabilityWaiter.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

it.each([
  { oldest: undefined, behind: false, what: "nothing waits" },
  { oldest: 1_000, behind: false, what: "it has just come" },
  { oldest: 0, behind: false, what: "half of the deadline has passed" },
  { oldest: -1, behind: true, what: "more than half has passed" }
])("whether a database is behind: $what", ({ behind, oldest }) => {
  expect(isBehind(oldest, 1_000, "2 seconds")).toBe(behind)
})

it.effect("parked rows delay no answer", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ capacity: 100, batchSize: 1, linger: 0 })
    const [first, second] = rowsOf(2)
    if (first === undefined || second === undefined) return expect.unreachable()
    queue.offer(first)
    yield* queue.fill
    queue.parkFirst()
    expect(queue.oldest()).toBe(first.timestamp)
    expect(queue.oldestInLine()).toBeUndefined()
    queue.unpark()
    expect(queue.inFlight()).toHaveLength(1)
    expect(queue.oldestInLine()).toBeUndefined()
    queue.offer(second)
    expect(queue.oldestInLine()).toBe(second.timestamp)
  })
)
