import * as FastCheck from "effect/FastCheck"
import { type Endpoint, isObject, type JsonSchema } from "./Document.ts"

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
export const valueOf = (schema: unknown, schemas: Endpoint["schemas"], depth = 0): FastCheck.Arbitrary<unknown> => {
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
