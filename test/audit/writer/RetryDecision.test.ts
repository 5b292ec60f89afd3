import { describe, expect, it } from "@effect/vitest"
import { type Batch, makeBatch } from "../../../src/audit/queue/Batch.ts"
import { attemptsBeforeIsolation, decideRetry } from "../../../src/audit/writer/RetryDecision.ts"
import type { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

type Failure = Pick<DatabaseError, "phase" | "sqlstate" | "constraint" | "late">

const batchOf = (rows: number, rest: Partial<Batch> = {}): Batch => ({ ...makeBatch(rowsOf(rows)), ...rest })
const statement = (sqlstate?: string): Failure =>
  sqlstate === undefined ? { phase: "statement" } : { phase: "statement", sqlstate }

describe("after a failed append", () => {
  it.each<[name: string, failure: Failure, certain: boolean]>([
    ["the connect failed", { phase: "connect" }, true],
    ["the server refused a statement", statement("40P01"), true],
    ["the server did not answer a statement before COMMIT", statement(), true],
    ["COMMIT was not answered", { phase: "commit" }, false],
    ["COMMIT was answered with an error", { phase: "commit", sqlstate: "57P01" }, false]
  ])("when %s, the rows are sent again, and they are certainly new: %s", (_, failure, certain) => {
    expect(decideRetry(batchOf(3), failure)).toMatchObject({ _tag: "wait", batch: { certain, attempts: 0 } })
  })

  it("an outage costs no attempt, however long it lasts", () => {
    let current = batchOf(3)
    for (let time = 0; time < 1_000; time++) {
      const decision = decideRetry(current, time % 2 === 0 ? { phase: "connect" } : statement("57P01"))
      expect(decision._tag).toBe("wait")
      if (decision._tag === "wait") current = decision.batch
    }
    expect(current.attempts).toBe(0)
  })

  it("doubt about a batch remains after later failures", () => {
    const doubtful = batchOf(3, { certain: false })
    expect(decideRetry(doubtful, { phase: "connect" })).toMatchObject({ batch: { certain: false } })
    expect(decideRetry(doubtful, statement("22021"))).toMatchObject({
      batches: [{ certain: false }, { certain: false }]
    })
  })

  it("invalid data splits the batch in half, in order, down to one row", () => {
    const whole = batchOf(5)
    const decision = decideRetry(whole, statement("22021"))
    expect(decision._tag).toBe("split")
    if (decision._tag !== "split") return
    expect(decision.batches.flatMap((half) => half.rows)).toEqual(whole.rows)
    expect(decision.batches.map((half) => half.rows.length)).toEqual([3, 2])
    expect(decideRetry(batchOf(1), statement("22021"))).toMatchObject({ _tag: "reject", batch: { attempts: 1 } })
  })

  it("a known id is tolerated in the next attempt, and counts as invalid data after that", () => {
    expect(decideRetry(batchOf(2), statement("23505"))).toMatchObject({ _tag: "again", batch: { certain: false } })
    expect(decideRetry(batchOf(2, { certain: false }), statement("23505"))._tag).toBe("split")
  })

  it("a wrong set-up pauses the writer and gives up no row", () => {
    expect(decideRetry(batchOf(1), statement("42501"))).toMatchObject({ _tag: "pause", batch: { attempts: 0 } })
  })

  it("a missing partition is created, but not without limit when the database says that it exists", () => {
    const missing = decideRetry(batchOf(1), statement("23514"))
    expect(missing).toMatchObject({ _tag: "make-partitions", batch: { attempts: 0, partitionsMade: 0 } })
    expect(decideRetry(batchOf(1, { attempts: 100 }), statement("23514"))._tag).toBe("make-partitions")
    expect(decideRetry(batchOf(2, { partitionsMade: attemptsBeforeIsolation }), statement("23514"))._tag).toBe("split")
    expect(decideRetry(batchOf(1, { partitionsMade: attemptsBeforeIsolation }), statement("23514"))._tag).toBe("reject")
  })

  it.each<[name: string, failure: Failure]>([
    ["was not answered in time", { phase: "statement", late: true }],
    ["was cancelled for its length", statement("57014")],
    ["made its transaction too long", statement("25P04")],
    ["was too large for the server's memory", statement("53200")],
    ["was not answered in time at COMMIT", { phase: "commit", late: true }]
  ])("a batch that %s twice in a row shrinks, costs no attempt, and is never rejected", (_, failure) => {
    const once = decideRetry(batchOf(10), failure)
    expect(once).toMatchObject({ _tag: "wait", batch: { overruns: 4, attempts: 0 } })
    expect(decideRetry(batchOf(10, { overruns: 4 }), failure)).toMatchObject({
      _tag: "shrink",
      batch: { overruns: 0, attempts: 0 }
    })
    expect(decideRetry(batchOf(1, { overruns: 100 }), failure)).toMatchObject({ _tag: "wait", batch: { attempts: 0 } })
  })

  it("one dropped connection does not shrink the batch, eight in a row do", () => {
    let tried = batchOf(10)
    for (let tries = 1; tries < 8; tries++) {
      const decision = decideRetry(tried, { phase: "statement" })
      expect(decision._tag).toBe("wait")
      if (decision._tag === "wait") tried = decision.batch
    }
    expect(decideRetry(tried, { phase: "statement" })).toMatchObject({
      _tag: "shrink",
      batch: { overruns: 0, attempts: 0 }
    })
  })

  it("a failed connect keeps the points of a batch, another transient failure resets them", () => {
    expect(decideRetry(batchOf(2, { overruns: 1 }), { phase: "connect" })).toMatchObject({ batch: { overruns: 1 } })
    expect(decideRetry(batchOf(2, { overruns: 1 }), statement("40P01"))).toMatchObject({ batch: { overruns: 0 } })
  })

  it("an unknown error costs attempts, and the batch is isolated after the last one", () => {
    expect(decideRetry(batchOf(2), statement("XX000"))).toMatchObject({ _tag: "wait", batch: { attempts: 1 } })
    expect(decideRetry(batchOf(2, { attempts: attemptsBeforeIsolation - 1 }), statement("XX000"))._tag).toBe("split")
    expect(decideRetry(batchOf(1, { attempts: attemptsBeforeIsolation - 1 }), statement("XX000"))._tag).toBe("reject")
  })
})
