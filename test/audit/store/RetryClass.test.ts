import { expect, it } from "@effect/vitest"
import { type RetryClass, retryClass } from "../../../src/audit/store/RetryClass.ts"

it.each<[sqlstate: string | undefined, what: string, expected: RetryClass]>([
  [undefined, "no answer", "transient"],
  ["08006", "connection failure", "transient"],
  ["53300", "too many connections", "transient"],
  ["53100", "disk full", "transient"],
  ["57P01", "admin shutdown", "transient"],
  ["57P03", "cannot connect now", "transient"],
  ["57014", "statement timeout", "transient"],
  ["55P03", "lock not available", "transient"],
  ["58030", "I/O error", "transient"],
  ["40001", "serialization failure", "transient"],
  ["40P01", "deadlock", "transient"],
  ["25006", "read-only server", "transient"],
  ["22021", "bad encoding", "data"],
  ["22P02", "bad JSON", "data"],
  ["22001", "too long", "data"],
  ["23503", "foreign key", "data"],
  ["23502", "null in a column that the recorder does not know", "set-up"],
  ["25P03", "idle in transaction too long", "transient"],
  ["25P04", "transaction too long", "transient"],
  ["54000", "row too big", "data"],
  ["23505", "known id", "doubt"],
  ["28P01", "wrong password", "set-up"],
  ["28000", "no such role", "set-up"],
  ["42501", "privilege revoked", "set-up"],
  ["42P01", "no such table", "set-up"],
  ["3D000", "no such database", "set-up"],
  ["3F000", "no such schema", "set-up"],
  ["P0001", "raised by a trigger", "set-up"],
  ["25P02", "in a failed transaction", "unknown"],
  ["0A000", "not supported", "unknown"],
  ["57000", "operator intervention, not a shutdown", "unknown"],
  ["XX000", "internal error", "unknown"],
  ["P0002", "no data found", "unknown"]
])("%s, %s, is %s", (sqlstate, _, expected) => {
  expect(retryClass(sqlstate === undefined ? {} : { sqlstate })).toBe(expected)
})

it("a check violation without a constraint is a missing partition, one with it is bad data", () => {
  expect(retryClass({ sqlstate: "23514" })).toBe("partition")
  expect(retryClass({ sqlstate: "23514", constraint: "audit_log_action_check" })).toBe("data")
})
