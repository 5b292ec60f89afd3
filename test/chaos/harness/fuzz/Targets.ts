import * as FastCheck from "effect/FastCheck"
import type { Endpoint } from "./Document.ts"

const oddSegments = [
  "%00",
  "%ff",
  "%2e%2e",
  "%2F",
  "..",
  ".",
  "a%20b",
  "%F0%9F%98%80",
  "x".repeat(300),
  "*",
  ":id",
  "%",
  "%zz",
  ";"
]

const segment = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constantFrom("Scout", "brave", "s-1", "0197d7a4-0000-7000-8000-000000000000") },
  { weight: 2, arbitrary: FastCheck.constantFrom(...oddSegments) },
  {
    weight: 1,
    arbitrary: FastCheck.string({ maxLength: 20 })
      .filter((text) => text.isWellFormed())
      .map(encodeURIComponent)
  }
)

const queryOf = (names: ReadonlyArray<string>) => {
  const name = FastCheck.oneof(
    { weight: 6, arbitrary: FastCheck.constantFrom(...(names.length === 0 ? ["x"] : names)) },
    { weight: 1, arbitrary: FastCheck.constantFrom("__proto__", "limit[]", "%00", "a%", "x".repeat(2_000)) }
  )
  const value = FastCheck.oneof(
    FastCheck.constantFrom(
      "1",
      "0",
      "-1",
      "1e9",
      "",
      "2026-01-01T00:00:00Z",
      "2026-02-30T00:00:00Z",
      "ALLOWED",
      "%00",
      "%ff",
      "%",
      "a+b",
      "x".repeat(3_000)
    ),
    FastCheck.string({ maxLength: 20 })
      .filter((text) => text.isWellFormed())
      .map(encodeURIComponent)
  )
  return FastCheck.array(FastCheck.tuple(name, value), { maxLength: 4 }).map((pairs) =>
    pairs.length === 0 ? "" : `?${pairs.map(([key, text]) => `${key}=${text}`).join("&")}`
  )
}

/** Path and query of an endpoint, filled with values that may be odd. */
export const targetOf = (endpoint: Endpoint) => {
  const count = endpoint.path.split("{").length - 1
  return FastCheck.tuple(FastCheck.array(segment, { minLength: count, maxLength: count }), queryOf(endpoint.query)).map(
    ([values, query]) => {
      let at = 0
      return endpoint.path.replaceAll(/\{[^}]+\}/g, () => values[at++] || "x") + query
    }
  )
}
