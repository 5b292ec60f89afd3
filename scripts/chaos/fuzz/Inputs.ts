import * as FastCheck from "effect/FastCheck"
import { type Endpoint, isObject, type JsonSchema } from "./Document.ts"

/** A request as it is sent; a body that is no JSON is as good as one. */
export interface Input {
  readonly endpoint: Endpoint
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

const oddTexts = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff\ud800",
  "\u202e\u2066",
  "\ufeff",
  "é\u0301".repeat(200),
  "😀".repeat(300),
  "../../etc/passwd",
  "vaults/../secrets",
  "*",
  "shells/*",
  "'; drop table gatekeeper.audit_log; --",
  "$1",
  "%s%n",
  "${jndi:ldap://x}",
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "null",
  "1e999",
  "x".repeat(256),
  "x".repeat(5_000)
]

const oddText = FastCheck.oneof(
  FastCheck.constantFrom(...oddTexts),
  FastCheck.string({ unit: "binary", maxLength: 60 })
)

const oddNumber = FastCheck.constantFrom(
  0,
  -0,
  -1,
  0.1,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 53,
  Number.MAX_SAFE_INTEGER + 2,
  5e-324
)

const nested = (depth: number, open: string, close: string) =>
  JSON.parse(`${open.repeat(depth)}0${close.repeat(depth)}`)

const oddValue: FastCheck.Arbitrary<unknown> = FastCheck.oneof(
  oddText,
  oddNumber,
  FastCheck.constantFrom<unknown>(null, true, false, [], {}, [[]], [null], { "": "" }),
  FastCheck.jsonValue({ maxDepth: 4 }),
  FastCheck.constantFrom(5, 40, 400).map((depth) => nested(depth, '{"a":', "}")),
  FastCheck.constantFrom(40, 400).map((depth) => nested(depth, "[", "]")),
  FastCheck.constantFrom(100, 3_000).map((count) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, at]))
  )
)

/** A value of a schema, one in a few places of it odd. */
const valueOf = (schema: unknown, schemas: Endpoint["schemas"], depth = 0): FastCheck.Arbitrary<unknown> => {
  if (!isObject(schema) || depth > 6) return oddValue
  const reference = schema["$ref"]
  if (typeof reference === "string") return valueOf(schemas[reference.split("/").at(-1) ?? ""], schemas, depth + 1)
  return FastCheck.oneof({ weight: 5, arbitrary: fitting(schema, schemas, depth) }, { weight: 1, arbitrary: oddValue })
}

const plainTexts = [
  "read",
  "execute",
  "write",
  "vaults/public",
  "shells/l1/small-model",
  "Scout",
  "audit/events",
  "s-1",
  "auto"
]

const fitting = (schema: JsonSchema, schemas: Endpoint["schemas"], depth: number): FastCheck.Arbitrary<unknown> => {
  const choices = schema["anyOf"] ?? schema["oneOf"]
  if (Array.isArray(choices) && choices.length > 0) {
    return FastCheck.oneof(...choices.map((choice) => valueOf(choice, schemas, depth + 1)))
  }
  const values = schema["enum"]
  if (Array.isArray(values) && values.length > 0) return FastCheck.constantFrom<unknown>(...values)
  if ("const" in schema) return FastCheck.constant(schema["const"])
  switch (schema["type"]) {
    case "object": {
      const properties = isObject(schema["properties"]) ? schema["properties"] : {}
      const fields = Object.fromEntries(
        Object.entries(properties).map(([name, one]) => [name, valueOf(one, schemas, depth + 1)])
      )
      const known = FastCheck.oneof(
        { weight: 4, arbitrary: FastCheck.record(fields, { noNullPrototype: true }) },
        { weight: 2, arbitrary: FastCheck.record(fields, { requiredKeys: [], noNullPrototype: true }) }
      )
      const extra = FastCheck.dictionary(oddText, oddValue, { maxKeys: 3, noNullPrototype: true })
      return FastCheck.oneof(
        { weight: 4, arbitrary: known },
        { weight: 1, arbitrary: FastCheck.tuple(known, extra).map(([a, b]) => ({ ...b, ...a })) }
      )
    }
    case "array":
      return FastCheck.array(valueOf(schema["items"], schemas, depth + 1), { maxLength: 4 })
    case "string":
      return FastCheck.constantFrom(...plainTexts)
    case "integer":
    case "number":
      return FastCheck.oneof(FastCheck.integer({ min: 0, max: 10 }), oddNumber)
    case "boolean":
      return FastCheck.boolean()
    default:
      return oddValue
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** JSON that no `JSON.stringify` would write. */
const brokenTexts = [
  "",
  "{",
  "[",
  '{"a":1,}',
  "{'a':1}",
  '{"resource":"a","resource":7}',
  '{"__proto__":{"allowed":true},"resource":"vaults/a"}',
  "NaN",
  "1e999",
  `"${"x".repeat(70_000)}"`,
  `{"resource":"vaults/a","metadata":{"text":"${"x".repeat(70_000)}"}}`,
  '{"resource":"\\ud800"}',
  "\ufeff{}",
  "null",
  "[".repeat(20_000),
  '{"a":'.repeat(8_000),
  "a=b&c=d",
  "--x\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--x--"
]

const bodyOf = (endpoint: Endpoint): FastCheck.Arbitrary<Uint8Array | undefined> => {
  const shaped = valueOf(endpoint.body ?? {}, endpoint.schemas).map((value) => bytes(JSON.stringify(value) ?? ""))
  return FastCheck.oneof(
    { weight: 8, arbitrary: shaped },
    { weight: 2, arbitrary: shaped.map((whole) => whole.slice(0, Math.floor(whole.length / 2))) },
    { weight: 2, arbitrary: FastCheck.constantFrom(...brokenTexts).map(bytes) },
    { weight: 1, arbitrary: FastCheck.uint8Array({ maxLength: 200 }) },
    { weight: 1, arbitrary: FastCheck.constant(undefined) }
  )
}

const contentTypes = [
  "application/json",
  "application/json",
  "application/json; charset=utf-16",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=x",
  "application/octet-stream",
  "garbage",
  ""
]

/** What a header can carry at all. */
const headerText = FastCheck.stringMatching(/^[ -~]{0,200}$/)

const traceparents = [
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
  "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
]

const headersOf = (tokens: ReadonlyArray<string>) =>
  FastCheck.record(
    {
      authorization: FastCheck.oneof(
        { weight: 8, arbitrary: FastCheck.constantFrom(...tokens.map((token) => `Bearer ${token}`)) },
        {
          weight: 2,
          arbitrary: FastCheck.constantFrom(
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "bearer x.y.z",
            `Bearer ${"a".repeat(9_000)}`
          )
        },
        { weight: 1, arbitrary: headerText }
      ),
      "content-type": FastCheck.constantFrom(...contentTypes),
      "x-request-id": FastCheck.oneof(
        FastCheck.constantFrom("fuzz-1", "x".repeat(100), "x".repeat(101), "Root=1-a/b+c==", "a b", ""),
        headerText
      ),
      traceparent: FastCheck.oneof(FastCheck.constantFrom(...traceparents), headerText),
      tracestate: headerText,
      accept: FastCheck.constantFrom("*/*", "text/event-stream", "image/png", "garbage"),
      "x-http-method-override": FastCheck.constant("DELETE"),
      cookie: headerText
    },
    { requiredKeys: ["authorization"], noNullPrototype: true }
  )

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

const targetOf = (endpoint: Endpoint) => {
  const count = endpoint.path.split("{").length - 1
  return FastCheck.tuple(FastCheck.array(segment, { minLength: count, maxLength: count }), queryOf(endpoint.query)).map(
    ([values, query]) => {
      let at = 0
      return endpoint.path.replaceAll(/\{[^}]+\}/g, () => values[at++] || "x") + query
    }
  )
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE", "TRACE"]

/** Malformed requests of an endpoint, and well-formed ones between them: what is odd is one thing or several. */
export const inputOf = (endpoint: Endpoint, tokens: ReadonlyArray<string>): FastCheck.Arbitrary<Input> =>
  FastCheck.record({
    endpoint: FastCheck.constant(endpoint),
    method: FastCheck.oneof(
      { weight: 12, arbitrary: FastCheck.constant(endpoint.method) },
      { weight: 1, arbitrary: FastCheck.constantFrom(...methods) }
    ),
    target: targetOf(endpoint),
    headers: headersOf(tokens),
    body: bodyOf(endpoint)
  })
