import { describe, expect, it } from "@effect/vitest"
import { type Batch, makeBatch } from "../../../src/audit/queue/Batch.ts"
import { decideRetry, unknownAttempts } from "../../../src/audit/writer/RetryDecision.ts"
import type { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

type Failure = Pick<DatabaseError, "phase" | "sqlstate" | "constraint" | "late">

const piece = (rows: number, rest: Partial<Batch> = {}): Batch => ({ ...makeBatch(rowsOf(rows)), ...rest })
const statement = (sqlstate?: string): Failure =>
  sqlstate === undefined ? { phase: "statement" } : { phase: "statement", sqlstate }

describe("after a failed append", () => {
  it.each<[name: string, failure: Failure, certain: boolean]>([
    ["no session was had", { phase: "connect" }, true],
    ["the server refused a statement", statement("40P01"), true],
    ["the server did not answer a statement before COMMIT", statement(), true],
    ["COMMIT was not answered", { phase: "commit" }, false],
    ["COMMIT was answered with an error", { phase: "commit", sqlstate: "57P01" }, false]
  ])("when %s, the rows go again, certainly new: %s", (_, failure, certain) => {
    expect(decideRetry(piece(3), failure)).toMatchObject({ _tag: "wait", piece: { certain, attempts: 0 } })
  })

  it("an outage costs no attempt, however long it lasts", () => {
    let current = piece(3)
    for (let time = 0; time < 1_000; time++) {
      const move = decideRetry(current, time % 2 === 0 ? { phase: "connect" } : statement("57P01"))
      expect(move._tag).toBe("wait")
      if (move._tag === "wait") current = move.piece
    }
    expect(current.attempts).toBe(0)
  })

  it("doubt stays", () => {
    const doubtful = piece(3, { certain: false })
    expect(decideRetry(doubtful, { phase: "connect" })).toMatchObject({ piece: { certain: false } })
    expect(decideRetry(doubtful, statement("22021"))).toMatchObject({
      pieces: [{ certain: false }, { certain: false }]
    })
  })

  it("bad data halves the piece, in order, down to the one row", () => {
    const whole = piece(5)
    const move = decideRetry(whole, statement("22021"))
    expect(move._tag).toBe("split")
    if (move._tag !== "split") return
    expect(move.pieces.flatMap((half) => half.rows)).toEqual(whole.rows)
    expect(move.pieces.map((half) => half.rows.length)).toEqual([3, 2])
    expect(decideRetry(piece(1), statement("22021"))).toMatchObject({ _tag: "reject", piece: { attempts: 1 } })
  })

  it("an id that is known asks for tolerance first, and is bad data when that did not help", () => {
    expect(decideRetry(piece(2), statement("23505"))).toMatchObject({ _tag: "again", piece: { certain: false } })
    expect(decideRetry(piece(2, { certain: false }), statement("23505"))._tag).toBe("split")
  })

  it("wrong set-up pauses and burns nothing", () => {
    expect(decideRetry(piece(1), statement("42501"))).toMatchObject({ _tag: "pause", piece: { attempts: 0 } })
  })

  it("a missing partition is made, but not for ever when it is said to stand", () => {
    const missing = decideRetry(piece(1), statement("23514"))
    expect(missing).toMatchObject({ _tag: "make-partitions", piece: { attempts: 0, partitionsMade: 0 } })
    expect(decideRetry(piece(1, { attempts: 100 }), statement("23514"))._tag).toBe("make-partitions")
    expect(decideRetry(piece(2, { partitionsMade: unknownAttempts }), statement("23514"))._tag).toBe("split")
    expect(decideRetry(piece(1, { partitionsMade: unknownAttempts }), statement("23514"))._tag).toBe("reject")
  })

  it.each<[name: string, failure: Failure]>([
    ["was not answered in time", { phase: "statement", late: true }],
    ["was cancelled for its length", statement("57014")],
    ["made its transaction too long", statement("25P04")],
    ["was too much for the memory", statement("53200")],
    ["was not answered in time at COMMIT", { phase: "commit", late: true }]
  ])("a piece that %s twice in a row is shortened, without blame, and never rejected", (_, failure) => {
    const once = decideRetry(piece(10), failure)
    expect(once).toMatchObject({ _tag: "wait", piece: { overruns: 4, attempts: 0 } })
    expect(decideRetry(piece(10, { overruns: 4 }), failure)).toMatchObject({
      _tag: "shorten",
      piece: { overruns: 0, attempts: 0 }
    })
    expect(decideRetry(piece(1, { overruns: 100 }), failure)).toMatchObject({ _tag: "wait", piece: { attempts: 0 } })
  })

  it("a connection that is cut says little of the piece, one that is cut at each of eight tries that it is too much", () => {
    let tried = piece(10)
    for (let tries = 1; tries < 8; tries++) {
      const move = decideRetry(tried, { phase: "statement" })
      expect(move._tag).toBe("wait")
      if (move._tag === "wait") tried = move.piece
    }
    expect(decideRetry(tried, { phase: "statement" })).toMatchObject({
      _tag: "shorten",
      piece: { overruns: 0, attempts: 0 }
    })
  })

  it("a session that is not had leaves open whether a piece is too long; another trouble says that it is not", () => {
    expect(decideRetry(piece(2, { overruns: 1 }), { phase: "connect" })).toMatchObject({ piece: { overruns: 1 } })
    expect(decideRetry(piece(2, { overruns: 1 }), statement("40P01"))).toMatchObject({ piece: { overruns: 0 } })
  })

  it("what nobody understands gets a few attempts and then is isolated", () => {
    expect(decideRetry(piece(2), statement("XX000"))).toMatchObject({ _tag: "wait", piece: { attempts: 1 } })
    expect(decideRetry(piece(2, { attempts: unknownAttempts - 1 }), statement("XX000"))._tag).toBe("split")
    expect(decideRetry(piece(1, { attempts: unknownAttempts - 1 }), statement("XX000"))._tag).toBe("reject")
  })
})
