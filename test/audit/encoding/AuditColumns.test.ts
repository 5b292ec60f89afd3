import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { RecordedEvent } from "../../../src/audit/AuditReader.ts"
import {
  auditColumns,
  canonicalJson,
  columnDefinitions,
  columnList,
  selectedColumns
} from "../../../src/audit/encoding/AuditRow.ts"
import { copyLine } from "../../../src/audit/store/AuditWrites.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"

const names = Object.keys(auditColumns)
const fields = Object.values(auditColumns).map(({ field }) => field)

const text = FastCheck.oneof(FastCheck.constant(null), FastCheck.string({ unit: "binary" }))

const events = FastCheck.record({
  action: text,
  resource: text,
  ghostId: text,
  shellId: text,
  reason: text,
  requestId: text,
  metadata: FastCheck.dictionary(FastCheck.string(), FastCheck.string())
})

it("every list of columns names the columns of the table, in order", () => {
  expect(columnList.split(", ")).toEqual(names)
  expect(columnDefinitions.split(", ").map((column) => column.split(" ", 1)[0])).toEqual(names)
  expect([...selectedColumns.matchAll(/as "(\w+)"/g)].map(([, field]) => field)).toEqual(fields)
  expect(Object.keys(RecordedEvent.fields)).toEqual(fields)
})

it("a row, its canonical JSON and its line of COPY hold each column once, whatever the event holds", () => {
  FastCheck.assert(
    FastCheck.property(events, (some) => {
      const [row] = rowsOf(1, { event: { ...anEvent, ...some } })
      if (row === undefined) return
      expect(
        Object.keys(row)
          .filter((field) => field !== "size")
          .toSorted()
      ).toEqual(fields.toSorted())
      const canonical = Object.keys(JSON.parse(canonicalJson(row)))
      expect(canonical).toEqual(names.filter((name) => name !== "leaf_hash").toSorted())
      const values = copyLine(row).slice(0, -1).split("\t")
      expect(values).toHaveLength(names.length)
      expect(values[names.indexOf("id")]).toBe(row.id)
      expect(values[names.indexOf("source")]).toBe(row.source)
      expect(values[names.indexOf("seq")]).toBe(String(row.seq))
      expect(values[names.indexOf("result")]).toBe(row.result)
      expect(values[names.indexOf("leaf_hash")]).toBe(`\\\\x${row.leafHash}`)
      for (const [name, field] of [
        ["ghost_id", "ghostId"],
        ["shell_id", "shellId"],
        ["request_id", "requestId"]
      ] as const) {
        expect(values[names.indexOf(name)] === "\\N").toBe(row[field] === null)
      }
    }),
    { numRuns: 200 }
  )
})
