import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { lacksZone, readSeconds } from "../../src/guardian/Moment.ts"
import { badgeProblem, nameProblem, resourceProblem, sessionIdProblem } from "../../src/guardian/Names.ts"
import { parseEnd, parseIssue, parseRevocation, parseStart } from "../../src/guardian/RequestBodies.ts"
import { cursorOf, parseListQuery, type QueryShape, rowNumber } from "../../src/guardian/RequestQuery.ts"

const now = 1_760_000_000

describe("Names", () => {
  it("are one segment of a resource, and nothing that moves in one", () => {
    for (const bad of ["", "a/b", ".", "..", "a\u0000", "a\n", "\ud800", "x".repeat(201), 7, undefined, null]) {
      expect([bad, nameProblem("agent", bad)]).toEqual([bad, expect.stringContaining('"agent"')])
    }
    for (const good of ["Librarian", "dan_flory", "ä ö", "a.b", "*"]) expect(nameProblem("agent", good)).toBeUndefined()
    expect(badgeProblem("badge", "x".repeat(101))).toContain("at most 100")
  })

  it("of sessions may have segments of their own, but none that lead out", () => {
    expect(sessionIdProblem("session_id", "2026/01/a")).toBeUndefined()
    expect(sessionIdProblem("session_id", "2026/../a")).toContain("segments")
    expect(resourceProblem("x".repeat(255))).toBeUndefined()
    expect(resourceProblem("x".repeat(256))).toContain("too long together")
  })
})

describe("Times", () => {
  it("have a zone, and a day that the calendar has", () => {
    expect(readSeconds("2026-01-31T12:00:00Z")).toEqual(Option.some(Date.UTC(2026, 0, 31, 12) / 1_000))
    expect(readSeconds("2026-01-31T12:00:00.999+02:00")).toEqual(Option.some(Date.UTC(2026, 0, 31, 10) / 1_000))
    for (const bad of [
      "2026-01-31T12:00:00",
      "2026-02-30T12:00:00Z",
      "2026-01-31",
      "soon",
      "",
      "2026-01-31T25:00:00Z"
    ]) {
      expect([bad, readSeconds(bad)]).toEqual([bad, Option.none()])
    }
    expect([
      lacksZone("2026-01-31T12:00:00.123456"),
      lacksZone("2026-01-31"),
      lacksZone("2026-01-31T12:00:00Z")
    ]).toEqual([true, true, false])
  })
})

describe("Bodies", () => {
  it("of an issue have one end, after now and within ten years", () => {
    const expiry = (body: object) =>
      Either.map(parseIssue({ agent: "a", ...body }, now), ({ expiresAt }) => expiresAt - now)
    expect(expiry({})).toEqual(Either.right(90 * 86_400))
    expect(expiry({ valid_for: "24h" })).toEqual(Either.right(86_400))
    expect(expiry({ valid_for: 60 })).toEqual(Either.right(60))
    const refused: ReadonlyArray<readonly [object, string]> = [
      [{ valid_for: "24h", expires_at: "2030-01-01T00:00:00Z" }, "either"],
      [{ expires_at: "2030-01-01T00:00:00" }, "with a zone"],
      [{ expires_at: "2020-01-01T00:00:00Z" }, "expired already"],
      [{ valid_for: 0 }, "expired already"],
      [{ valid_for: -5 }, "expired already"],
      [{ valid_for: Number.NaN }, "must be a duration"],
      [{ valid_for: "soon" }, "must be a duration"],
      [{ valid_for: "20 weeks 3" }, "must be a duration"],
      [{ valid_for: "9999d" }, "longer than"],
      [{ valid_for: 1e300 }, "longer than"],
      [{ version: 0 }, "version"],
      [{ version: 1.5 }, "version"],
      [{ agent: "a/b" }, "agent"]
    ]
    for (const [body, problem] of refused) {
      expect([body, Either.getOrUndefined(Either.flip(expiry(body)))]).toEqual([body, expect.stringContaining(problem)])
    }
  })

  it("are objects, and say all that is wrong at once", () => {
    for (const body of [null, [], "x", 1, undefined]) expect(Either.isLeft(parseStart(body))).toBe(true)
    expect(Either.flip(parseStart({}))).toEqual(Either.right('"agent" is missing; "session_id" is missing'))
    expect(Either.isLeft(parseEnd({ session_id: "s", output_file: "\u0000" }))).toBe(true)
    expect(parseRevocation(undefined)).toEqual(Either.right({ reason: null }))
  })
})

describe("Queries", () => {
  const shape: QueryShape = { known: ["agent", "active", "limit", "cursor"], standardLimit: 100, cursor: rowNumber }

  it("name what is known, each once", () => {
    expect(parseListQuery(`agent=a&active=true&limit=5&cursor=${cursorOf("17")}`, shape)).toEqual(
      Either.right({ agent: "a", active: true, limit: 5, after: "17" })
    )
    for (const bad of [
      "agnet=a",
      "agent=a&agent=b",
      "active=yes",
      "limit=0",
      "limit=1001",
      "limit=1e2",
      "cursor=x",
      "agent="
    ]) {
      expect([bad, Either.isLeft(parseListQuery(bad, shape))]).toEqual([bad, true])
    }
    expect(Either.isLeft(parseListQuery(`cursor=${cursorOf("1; drop table x")}`, shape))).toBe(true)
  })

  it("are refused in few words, however many are wrong", () => {
    const many = Array.from({ length: 8_000 }, (_, index) => `x${index}`).join("&")
    const refusal = Either.getOrThrow(Either.flip(parseListQuery(`${many}&limit=0`, shape)))
    expect(refusal).toContain('unknown parameter "x0"')
    expect(refusal).toContain("and 7998 more")
    expect(refusal.length).toBeLessThan(500)
  })
})
