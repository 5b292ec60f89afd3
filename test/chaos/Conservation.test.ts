import { describe, expect, it } from "@effect/vitest"
import { compare, type TrailRow } from "./harness/Conservation.ts"
import type { Exchange } from "./harness/Load.ts"

const asked = (requestId: string, kind: Exchange["kind"], status?: number, auditId?: string): Exchange => ({
  requestId,
  kind,
  at: 0,
  ...(status === undefined ? {} : { answer: { status, auditId, millis: 1 } })
})

const row = (id: string, requestId: string, result: string): TrailRow => ({ id, requestId, result })

const whole = { lost: [], twice: [], contradicted: [] }

describe("the comparison of answers with the trail", () => {
  it("finds a row for each answer, whatever it said", () => {
    const exchanges = [
      asked("a", "allowed", 200, "1"),
      asked("b", "denied", 403, "2"),
      asked("c", "unauthenticated", 401, "3"),
      asked("d", "invalid", 422, "4")
    ]
    const rows = [
      row("1", "a", "ALLOWED"),
      row("2", "b", "DENIED"),
      row("3", "c", "UNAUTHENTICATED"),
      row("4", "d", "INVALID")
    ]
    expect(compare(exchanges, rows)).toEqual({ ...whole, answered: 4, found: 4, unread: 0, unavailable: 0 })
  })

  it("counts an answer without its row as lost", () => {
    expect(compare([asked("a", "allowed", 200, "1")], [row("2", "other", "ALLOWED")])).toMatchObject({
      answered: 1,
      found: 0,
      lost: ["1"]
    })
  })

  it("sees a decision that is there under two ids", () => {
    const rows = [row("1", "a", "ALLOWED"), row("2", "a", "ALLOWED")]
    expect(compare([asked("a", "allowed", 200, "1")], rows)).toMatchObject({ lost: [], twice: ["a"] })
    expect(compare([asked("a", "allowed")], rows)).toMatchObject({ twice: ["a"], unread: 1 })
  })

  it("allows a row whose answer was not read, and a request without answer and row", () => {
    const exchanges = [asked("a", "allowed"), asked("b", "allowed")]
    expect(compare(exchanges, [row("1", "a", "ALLOWED")])).toMatchObject({ ...whole, answered: 0, unread: 1 })
  })

  it("wants a decision withdrawn that was not given, and one that was given not withdrawn", () => {
    const decided = row("1", "a", "ALLOWED")
    const withdrawn = row("2", "a", "WITHDRAWN")
    const unavailable = [asked("a", "allowed", 503, "1")]
    expect(compare(unavailable, [decided, withdrawn])).toMatchObject({ ...whole, answered: 1, unavailable: 1 })
    expect(compare(unavailable, [decided]).contradicted).toHaveLength(1)
    expect(compare([asked("a", "allowed", 503)], [])).toMatchObject({ ...whole, answered: 0, unavailable: 1 })
    expect(compare([asked("a", "allowed", 200, "1")], [decided, withdrawn]).contradicted).toHaveLength(1)
  })

  it("sees answers that say other things than their rows, or than they must", () => {
    const contradicted = (exchange: Exchange, ...rows: ReadonlyArray<TrailRow>) =>
      compare([exchange], rows).contradicted.length
    expect(contradicted(asked("a", "denied", 200, "1"), row("1", "a", "ALLOWED"))).toBe(1)
    expect(contradicted(asked("a", "denied", 403, "1"), row("1", "a", "ALLOWED"))).toBe(1)
    expect(contradicted(asked("a", "allowed", 200), row("1", "a", "ALLOWED"))).toBe(1)
    expect(contradicted(asked("a", "allowed", 200, "2"), row("1", "a", "ALLOWED"))).toBe(1)
    expect(contradicted(asked("a", "allowed", 500))).toBe(1)
  })
})
