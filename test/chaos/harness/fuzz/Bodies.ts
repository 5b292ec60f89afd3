import * as FastCheck from "effect/FastCheck"
import type { Endpoint } from "./Document.ts"
import { valueOf } from "./Values.ts"

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

/** Generates bodies of the declared shape, complete and truncated, and bodies that are not JSON. */
export const bodyOf = (endpoint: Endpoint): FastCheck.Arbitrary<Uint8Array | undefined> => {
  const shaped = valueOf(endpoint.body ?? {}, endpoint.schemas).map((value) => bytes(JSON.stringify(value) ?? ""))
  return FastCheck.oneof(
    { weight: 8, arbitrary: shaped },
    { weight: 2, arbitrary: shaped.map((whole) => whole.slice(0, Math.floor(whole.length / 2))) },
    { weight: 2, arbitrary: FastCheck.constantFrom(...brokenTexts).map(bytes) },
    { weight: 1, arbitrary: FastCheck.uint8Array({ maxLength: 200 }) },
    { weight: 1, arbitrary: FastCheck.constant(undefined) }
  )
}
