import { expect, it } from "@effect/vitest"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { planning } from "../../../src/audit/ingest/IngestBatch.ts"
import { batchOf } from "../../support/Ingests.ts"

it("rows are made in steps, so that a batch does not block the event loop", () => {
  const steps = planning(
    batchOf(1_000),
    { keys: [], conflicts: [] },
    "planner",
    { lastSeq: 7, source: crypto.randomUUID() },
    { nextId: makeUuidV7((bytes) => crypto.getRandomValues(bytes)), now: 1_790_000_000_000 }
  )
  let count = 0
  let step = steps.next()
  for (; step.done !== true; step = steps.next()) count += 1
  expect(count).toBeGreaterThan(60)
  expect(step.value.outcomes).toHaveLength(1_000)
  expect(step.value.rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_000 }, (_, index) => 8 + index))
})
