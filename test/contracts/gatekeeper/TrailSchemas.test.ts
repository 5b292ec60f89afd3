import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { EventsParams, PipelineParams } from "../../../src/contracts/gatekeeper/TrailSchemas.ts"

/** Decodes a query as the platform's RequestDecoding does: a repeated parameter is an array. */
const decoding =
  <A, I>(schema: Schema.Schema<A, I>) =>
  (query: string) => {
    const params = new URLSearchParams(query)
    const given = [...new Set(params.keys())].map((name) => {
      const values = params.getAll(name)
      return [name, values.length === 1 ? values[0] : values] as const
    })
    const decode = Schema.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })
    return Either.mapLeft(decode(Object.fromEntries(given)), (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error)
        .map(({ _tag, message, path }) => `${path.join(".")} ${_tag === "Unexpected" ? "is unknown" : message}`)
        .join("; ")
    )
  }

const eventsQuery = decoding(EventsParams)
const pipelineQuery = decoding(PipelineParams)

describe("The query of GET /audit/events", () => {
  it("asks for the newest hundred where it is empty", () => {
    expect(Either.getOrThrow(eventsQuery(""))).toEqual({ limit: 100 })
  })

  it("has every filter", () => {
    const query = Either.getOrThrow(
      eventsQuery(
        "ghost_id=Scout&action=read&resource=vaults%2Fa&result=DENIED&request_id=try-1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00%2B02:00&limit=1000&cursor=AZomZTtwcAqAAAAAAAAAAA"
      )
    )
    expect(query).toMatchObject({
      ghost_id: "Scout",
      action: "read",
      resource: "vaults/a",
      result: "DENIED",
      request_id: "try-1",
      limit: 1000,
      cursor: "AZomZTtwcAqAAAAAAAAAAA"
    })
    expect(query.to && DateTime.formatIso(query.to)).toBe("2026-01-01T22:00:00.000Z")
  })

  for (const [query, problem] of [
    ["limit=0", "limit must be an integer from 1 to 1000"],
    ["limit=1001", "limit"],
    ["limit=-1", "limit"],
    ["limit=1e2", "limit"],
    ["limit=", "limit"],
    ["limit=1;drop table", "limit"],
    ["result=allowed", "result must be one of ALLOWED, DENIED"],
    ["from=yesterday", "from must be an RFC 3339 time with a zone"],
    ["from=2026-01-01T00:00:00+01:00", "write the + of a zone as %2B in a query"],
    ["from=2026-01-01T00:00Z", "from must be an RFC 3339 time"],
    ["from=2026-01-01T00:00:00", "from"],
    ["to=2026-13-01T00:00:00Z", "to"],
    ["to=2026-02-30T00:00:00Z", "to"],
    ["from=1Z", "from"],
    ["gohst_id=Scout", "gohst_id is unknown"],
    ["action=a&action=b", "action is given more than once"],
    ["from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "from is given more than once"],
    ["result=DENIED&result=DENIED", "result is given more than once"]
  ] as const) {
    it(`is refused: ${query}`, () => {
      expect(Either.getOrThrow(Either.flip(eventsQuery(query)))).toContain(problem)
    })
  }
})

describe("The query of GET /audit/pipeline", () => {
  const source = "01990000-0000-7000-8000-000000000000"

  it("has a limit and the source where the page before ended", () => {
    expect(Either.getOrThrow(pipelineQuery(""))).toEqual({ limit: 100 })
    expect(Either.getOrThrow(pipelineQuery(`limit=7&cursor=${source}`))).toEqual({ limit: 7, cursor: source })
  })

  for (const [query, problem] of [
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    [`cursor=${source.toUpperCase()}x`, "cursor must be `next` of the page before"],
    [`cursor=${source}&cursor=${source}`, "cursor is given more than once"],
    ["source=a", "source is unknown"]
  ] as const) {
    it(`is refused: ${query}`, () => {
      expect(Either.getOrThrow(Either.flip(pipelineQuery(query)))).toContain(problem)
    })
  }
})
