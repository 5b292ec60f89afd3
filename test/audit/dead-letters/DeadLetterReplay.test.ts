import { expect, it } from "@effect/vitest"
import { rowOfLetter } from "../../../src/audit/dead-letters/DeadLetterReplay.ts"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"

it("bytes are a letter's row only when they are its own event", () => {
  const [row, other] = rowsOf(2, { event: { ...anEvent, metadata: { 2: "b", 10: "a" } } })
  if (row === undefined || other === undefined) throw new Error("two rows were asked for")
  const letter = {
    eventId: row.id,
    leafHash: row.leafHash,
    source: row.source,
    seq: row.seq,
    body: Buffer.from(canonicalJson(row)),
    sqlstate: null,
    settled: false
  }
  const judge = (change: object) => rowOfLetter({ ...letter, ...change })
  expect(judge({})).toMatchObject({ _tag: "Right", right: row })
  expect(judge({ body: Buffer.from("{}") })).toMatchObject({ left: "its bytes are not a canonical event" })
  const foreign = { left: "its bytes are of another event than the letter names" }
  for (const change of [
    { body: Buffer.from(canonicalJson(other)) },
    { eventId: other.id },
    { leafHash: other.leafHash },
    { source: crypto.randomUUID() },
    { seq: 3 }
  ]) {
    expect(judge(change)).toMatchObject(foreign)
  }
})
