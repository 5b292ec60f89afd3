import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { canonicalJson, isoTime, makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { rowOf } from "../../../src/audit/encoding/CanonicalRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"

const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))

const rowFor = (event: AuditEvent, seq: number, timestamp: number) =>
  makeRow(encodeEvent(event), { id: nextId(timestamp), timestamp, source: crypto.randomUUID(), seq })

const text = FastCheck.oneof(FastCheck.constant(null), FastCheck.string({ unit: "binary" }))

it("a row comes back from its canonical text, hash and all, whatever is in it", () => {
  FastCheck.assert(
    FastCheck.property(
      FastCheck.record({
        action: text,
        resource: text,
        ghostId: text,
        shellId: text,
        result: FastCheck.constantFrom("ALLOWED", "DENIED", "INVALID"),
        reason: text,
        requestId: text,
        metadata: FastCheck.anything()
      }),
      FastCheck.integer({ min: 1 }),
      FastCheck.integer({ min: 0, max: 4_102_444_800_000 }),
      (event, seq, timestamp) => {
        const row = rowFor(event as AuditEvent, seq, timestamp)
        expect(rowOf(canonicalJson(row))).toEqual(row)
      }
    ),
    { numRuns: 500 }
  )
})

it("a time is written as the language writes it, whatever time was written before", () => {
  FastCheck.assert(
    FastCheck.property(
      FastCheck.array(FastCheck.maxSafeInteger()),
      FastCheck.double({ noNaN: true }),
      (times, other) => {
        const moments = [0, 999, 1_000, -1, 1.5, other, ...times].flatMap((time) => [time, time + 1, time % 8.64e15])
        for (const time of moments.filter((time) => Math.abs(time) <= 8.64e15)) {
          expect(isoTime(time)).toBe(new Date(time).toISOString())
        }
      }
    )
  )
  expect(() => isoTime(Number.NaN)).toThrow(RangeError)
})

it("keys that look like numbers keep their places", () => {
  const row = rowFor({ ...anEvent, metadata: { b: 1, 10: 2, 9: 3, 1: 4, '","reason":null': "x" } }, 1, 0)
  expect(rowOf(canonicalJson(row))).toEqual(row)
})

it("a text that is not a row's canonical JSON is not decoded", () => {
  const [row] = rowsOf(1)
  const json = row === undefined ? "" : canonicalJson(row)
  expect(rowOf(json)).toEqual(row)
  const others = [
    "",
    "{}",
    "null",
    "[]",
    `${json} `,
    json.slice(0, -1),
    json.replace('"metadata":{', '"metadata": {').replace('"seq":1', '"seq": 1'),
    json.replace('"seq":1', '"seq":0'),
    json.replace('"seq":1', '"seq":1.5'),
    json.replace('"seq":1', '"seq":1e0'),
    json.replace('"seq":1', '"seq":9007199254740993'),
    json.replace('"metadata":{"complexity":5}', '"metadata":[]'),
    json.replace('"metadata":{"complexity":5}', '"metadata":{},"more":{}'),
    json.replace('"metadata":{"complexity":5}', '"metadata":{},"reason":"twice"'),
    json.replace('"metadata":{"complexity":5}', '"metadata":{},"metadata":{}'),
    json.replace('"result":"ALLOWED"', '"result":null'),
    json.replace('Z"}', '+00:00"}'),
    json.replace('"timestamp":"2', '"timestamp":"x'),
    json.replace(/"id":"[^"]*"/, '"id":"x"'),
    json.replace(/"source":"[^"]*"/, '"source":"x"'),
    json.replace('"action":"execute"', '"action":"\\u0065xecute"'),
    json.replace('"marks":[]', '"marks":[1]')
  ]
  for (const other of others) expect([other, rowOf(other)]).toEqual([other, undefined])
})
