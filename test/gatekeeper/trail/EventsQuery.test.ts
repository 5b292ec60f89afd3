import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import { parseEventsQuery } from "../../../src/gatekeeper/trail/EventsQuery.ts"

const parse = (query: string) => parseEventsQuery(new URLSearchParams(query))

describe("parseEventsQuery", () => {
  it("asks for the newest hundred where nothing is said", () => {
    expect(Either.getOrThrow(parse("")).limit).toBe(100)
  })

  it("reads every filter", () => {
    const query = Either.getOrThrow(
      parse(
        "ghost_id=Scout&action=read&resource=vaults%2Fa&result=DENIED&request_id=try-1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00%2B02:00&limit=1000&cursor=AZomZTtwcAqAAAAAAAAAAA"
      )
    )
    expect(query).toMatchObject({
      ghostId: "Scout",
      action: "read",
      resource: "vaults/a",
      result: "DENIED",
      requestId: "try-1",
      limit: 1000,
      cursor: "AZomZTtwcAqAAAAAAAAAAA"
    })
    expect(query.to && DateTime.formatIso(query.to)).toBe("2026-01-01T22:00:00.000Z")
  })

  it.each([
    ["limit=0", '"limit"'],
    ["limit=1001", '"limit"'],
    ["limit=-1", '"limit"'],
    ["limit=1e2", '"limit"'],
    ["limit=", '"limit"'],
    ["limit=1;drop table", '"limit"'],
    ["result=allowed", '"result"'],
    ["from=yesterday", '"from"'],
    ["from=2026-01-01T00:00:00", '"from"'],
    ["to=2026-13-01T00:00:00Z", '"to"'],
    ["to=2026-02-30T00:00:00Z", '"to"'],
    ["from=1Z", '"from"'],
    ["gohst_id=Scout", "unknown parameter"],
    ["cursor=abc", "cursor"],
    ["cursor=", "cursor"],
    ["action=a&action=b", "more than once"]
  ])("refuses %s", (query, problem) => {
    expect(Either.match(parse(query), { onLeft: (text) => text, onRight: () => "accepted" })).toContain(problem)
  })
})
