import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { makeBatch, splitAt, splitBySize } from "../../../src/audit/queue/Batch.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

it.prop(
  "splitting by size keeps every row, in order, and no batch of several rows is too large",
  [FastCheck.array(FastCheck.integer({ min: 0, max: 40 }), { maxLength: 60 })],
  ([sizes]) => {
    const rows = rowsOf(sizes.length).map((row, index) => ({ ...row, size: sizes[index] ?? 0 }))
    const batches = splitBySize(rows, 50)
    expect(batches.flatMap((batch) => batch.rows)).toEqual(rows)
    for (const batch of batches) {
      expect(batch.rows.length === 1 || batch.rows.reduce((sum, row) => sum + row.size, 0) <= 50).toBe(true)
    }
  }
)

it.prop(
  "splitting a batch keeps every row, in order, and what is known of them",
  [FastCheck.integer({ min: 0, max: 40 }), FastCheck.integer({ min: 1, max: 45 })],
  ([rows, length]) => {
    const whole = { ...makeBatch(rowsOf(rows)), certain: false, attempts: 2 }
    const parts = splitAt(whole, length)
    expect(parts.flatMap((part) => part.rows)).toEqual(whole.rows)
    expect(parts).toHaveLength(rows > length ? 2 : 1)
    expect(parts[0]?.rows).toHaveLength(Math.min(rows, length))
    for (const part of parts) expect(part).toMatchObject({ certain: false, attempts: 2 })
  }
)
