import { expect, it } from "@effect/vitest"
import { type Loss, lossReceipt, withdrawal } from "../../../src/audit/encoding/TrailEvents.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"

const source = "00000000-0000-4000-8000-000000000001"

const receipts: ReadonlyArray<readonly [Loss, string, object]> = [
  [
    { kind: "shed", source, from: 3, to: 9, count: 4 },
    "4 events answered without a record, among numbers 3 to 9",
    { from_seq: 3, to_seq: 9, count: 4 }
  ],
  [
    { kind: "gap", source, from: 5, to: 5, count: 1 },
    "1 event in neither the trail nor the dead letters, among number 5",
    { from_seq: 5, to_seq: 5, count: 1 }
  ],
  [
    { kind: "quarantined", source, from: 1, to: 2, count: 2 },
    "2 events whose journal records were damaged, among numbers 1 to 2",
    { from_seq: 1, to_seq: 2, count: 2 }
  ],
  [
    { kind: "tail", source, after: 7 },
    "it ended without signing off: events after number 7, if there were any, are lost",
    { from_seq: 8, to_seq: null, count: null }
  ]
]

it.each(receipts)("a receipt says in the trail what is missing, by number: %j", (loss, reason, range) => {
  expect(lossReceipt(loss)).toEqual({
    action: "audit/loss",
    resource: `audit/sources/${source}`,
    ghostId: null,
    shellId: null,
    result: "LOST",
    reason,
    requestId: null,
    facts: { kind: loss.kind, source, ...range }
  })
})

it("a withdrawal of an event of an unauthenticated caller carries the same marks", () => {
  for (const { id } of rowsOf(1)) {
    expect(withdrawal({ ...anEvent, marks: ["auth:disabled"] }, id, "why").marks).toEqual(["auth:disabled"])
  }
})

it("a withdrawal is about the same request as its event, names it, and says why no answer was given", () => {
  for (const { id } of rowsOf(1)) {
    const { metadata: _, ...request } = anEvent
    expect(withdrawal(anEvent, id, "the disk did not confirm it in time")).toEqual({
      ...request,
      result: "WITHDRAWN",
      reason: `the answer of event ${id} was not given: the disk did not confirm it in time`,
      facts: { audit_id: id, why: "the disk did not confirm it in time" }
    })
  }
})
