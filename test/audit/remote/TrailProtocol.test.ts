import { expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { canonicalJson, makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { ledgerOperations, readingRows, storeOperations, WireRow } from "../../../src/audit/remote/TrailProtocol.ts"
import { runAtOnce } from "../../../src/platform/os/EventLoop.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))

/** NUL, lone surrogates, quotes, keys that look like numbers or like the row's own fields. */
const hostileText = FastCheck.oneof(
  FastCheck.string({ unit: "binary", maxLength: 400 }),
  FastCheck.string({
    unit: FastCheck.constantFrom("\0", "\ud800", "\udc00", '"', "\\", "\u2028", "é", "😀", "\n"),
    maxLength: 60
  }),
  FastCheck.constantFrom("10", "9", "__proto__", '","source":"', "leaf_hash", "metadata")
)

const hostileValue = FastCheck.letrec<{ value: unknown }>((tie) => ({
  value: FastCheck.oneof(
    { maxDepth: 4 },
    hostileText,
    FastCheck.double(),
    FastCheck.boolean(),
    FastCheck.constant(null),
    FastCheck.array(tie("value"), { maxLength: 4 }),
    FastCheck.dictionary(hostileText, tie("value"), { maxKeys: 5 })
  )
})).value

const overTheWire = <A, I>(schema: Schema.Schema<A, I>, value: A): A =>
  Schema.decodeSync(Schema.parseJson(schema))(JSON.stringify(Schema.encodeSync(schema)(value)))

it("a row of whatever text is the same row with the same hash at the far end", () => {
  FastCheck.assert(
    FastCheck.property(hostileText, hostileText, hostileText, hostileValue, (action, resource, ghostId, metadata) => {
      const event = {
        action,
        resource,
        ghostId,
        shellId: null,
        result: "ALLOWED" as const,
        reason: action,
        requestId: resource,
        metadata
      }
      const row = makeRow(encodeEvent(event), {
        id: nextId(Date.now()),
        timestamp: Date.now(),
        source: crypto.randomUUID(),
        seq: 1
      })
      const arrived = overTheWire(WireRow, row)
      expect(arrived).toEqual(row)
      expect(canonicalJson(arrived)).toBe(canonicalJson(row))
    }),
    { numRuns: 500 }
  )
})

it("a text that is not a canonical event is refused, and not repeated in the error", () => {
  const [row] = rowsOf(1)
  if (row === undefined) throw new Error("no row")
  const text = canonicalJson(row)
  for (const forged of [
    "",
    "{}",
    ` ${text}`,
    text.replace('"seq":1', '"seq":1.0'),
    `${text.slice(0, -1)},"secret":1}`
  ]) {
    const refused = Schema.decodeUnknownEither(WireRow)(forged)
    expect(Either.isLeft(refused)).toBe(true)
    expect(String(Either.getOrThrow(Either.flip(refused)))).not.toContain("secret")
  }
})

it("many rows are decoded in steps, in order, and none of them if one is not a row", () => {
  const rows = rowsOf(1_000)
  const texts = rows.map(canonicalJson)
  const steps = readingRows(texts)
  let count = 0
  for (let step = steps.next(); step.done !== true; step = steps.next()) count += 1
  expect(count).toBeGreaterThan(60)
  expect(runAtOnce(readingRows(texts))).toEqual(rows)
  expect(runAtOnce(readingRows([...texts, "{}"]))).toBeUndefined()
})

it("a database's error is the same error at the far end", () => {
  const error = new DatabaseError({
    phase: "commit",
    late: true,
    reason: "no answer",
    constraint: "c",
    sqlstate: "23514"
  })
  const arrived = overTheWire(storeOperations.append.answer, { failure: error })
  expect(arrived).toEqual({ failure: error })
  expect("failure" in arrived && arrived.failure instanceof DatabaseError).toBe(true)
})

it.effect("a source of the ledger is the same source at the far end, its times included", () =>
  Effect.gen(function* () {
    const now = yield* DateTime.now
    const source = {
      source: crypto.randomUUID(),
      identity: "service:guardian",
      kind: "process" as const,
      host: "here",
      pid: 1,
      startedAt: now,
      bootId: "boot",
      durability: "journal",
      seenAt: now,
      lastSeq: 10,
      lastAt: null,
      committed: 9,
      deadLettered: 1,
      replayed: 0,
      quarantined: 0,
      counted: true,
      checkedSeq: 0,
      lost: 0,
      unsignedAfter: null,
      signedOffSeq: null,
      signedOffAt: null,
      shed: null,
      refused: null,
      unwritten: null,
      inDoubt: null
    }
    expect(overTheWire(ledgerOperations.source.answer, { value: source })).toEqual({ value: source })
  })
)

it("what a process says of itself is as long as a name, and no longer", () => {
  const incarnation = { source: crypto.randomUUID(), pid: 1, startedAt: 0, bootId: "boot", durability: "journal" }
  const isTaken = (host: string) =>
    Schema.is(storeOperations.register.request)({ incarnation: { ...incarnation, host } })
  expect([255, 256].map((length) => isTaken("h".repeat(length)))).toEqual([true, false])
})
