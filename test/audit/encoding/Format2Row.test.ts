import * as Crypto from "node:crypto"
import * as FileSystem from "node:fs"
import { expect, it } from "@effect/vitest"
import canonicalize from "canonicalize"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { format2RowOf } from "../../../src/audit/encoding/Format2Reading.ts"
import {
  closedGroups,
  type Format2Row,
  format2Digest,
  format2Json,
  openDigest,
  openJson,
  whoJson
} from "../../../src/audit/encoding/Format2Row.ts"
import { anEvent } from "../../support/AuditEvents.ts"

const Vector = Schema.Struct({
  name: Schema.String,
  flat: Schema.String,
  who: Schema.String,
  metadata: Schema.NullOr(Schema.String),
  closed_who: Schema.String,
  closed_meta: Schema.NullOr(Schema.String),
  open: Schema.String,
  digest: Schema.String
})

const vectors = Schema.decodeUnknownSync(Schema.parseJson(Schema.Array(Vector)))(
  FileSystem.readFileSync(new URL("vectors/format-2.json", import.meta.url), "utf8")
)

const Members = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
const membersOf = Schema.decodeUnknownSync(Members)

const whoNames = "action asked_by client ghost_id identity reason request_id resource rule shell_id trace_id".split(" ")
const notOpen = [...whoNames, "metadata", "salt"]

const sha256 = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = Crypto.createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex")
}

/** The second implementation: from the flat text alone, by another program's canonical JSON. */
const digestByOther = (flat: string) => {
  const members = membersOf(flat)
  const salt = Buffer.from(String(members["salt"]), "hex")
  const only = (isMember: (name: string) => boolean) =>
    Object.fromEntries(Object.entries(members).filter(([name]) => isMember(name)))
  const who = canonicalize(only((name) => whoNames.includes(name))) ?? ""
  const metadata = members["metadata"] === undefined ? null : (canonicalize(members["metadata"]) ?? "")
  const closed_who = sha256(salt.subarray(0, 16), who)
  const closed_meta = metadata === null ? null : sha256(salt.subarray(16), metadata)
  const open =
    canonicalize({
      ...only((name) => !notOpen.includes(name)),
      closed_who,
      ...(closed_meta === null ? {} : { closed_meta })
    }) ?? ""
  return { flat: canonicalize(members), who, metadata, closed_who, closed_meta, open, digest: sha256(open) }
}

const readRow = (flat: string): Format2Row => {
  const row = format2RowOf(flat)
  if (row === undefined) throw new Error(`not a canonical text of format 2: ${flat}`)
  return row
}

for (const { name, ...vector } of vectors) {
  it(`the vector "${name}" has the texts and the digest of both implementations`, () => {
    expect(digestByOther(vector.flat)).toEqual(vector)
    const row = readRow(vector.flat)
    const closed = closedGroups(row)
    expect({
      flat: format2Json(row),
      who: whoJson(row),
      metadata: vector.metadata === null ? null : row.metadata,
      closed_who: closed.who,
      closed_meta: closed.metadata ?? null,
      open: openJson(row, closed),
      digest: format2Digest(row)
    }).toEqual(vector)
  })
}

const nextId = makeUuidV7((bytes) => Crypto.getRandomValues(bytes))
const optional = FastCheck.oneof(FastCheck.constant(null), FastCheck.string())
const clients = FastCheck.oneof(
  FastCheck.constant(null),
  FastCheck.record({ address: FastCheck.string() }),
  FastCheck.record({ address: FastCheck.string(), agent: FastCheck.string() })
)
const salts = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"))

const rows = FastCheck.record({
  event: FastCheck.record({ action: optional, reason: optional, metadata: FastCheck.anything() }),
  members: FastCheck.record({
    salt: salts,
    policyVersion: optional,
    rule: optional,
    traceId: optional,
    identity: optional,
    askedBy: optional,
    client: clients,
    seq: FastCheck.integer({ min: 1 }),
    timestamp: FastCheck.integer({ min: 0, max: 4_102_444_800_000 })
  })
}).map(
  ({ event, members }): Format2Row => ({
    ...encodeEvent({ ...anEvent, ...event }),
    ...members,
    id: nextId(members.timestamp),
    source: Crypto.randomUUID()
  })
)

it("a row comes back from its flat text, and another implementation finds its digest, whatever is in it", () => {
  FastCheck.assert(
    FastCheck.property(rows, (row) => {
      const flat = format2Json(row)
      expect(format2RowOf(flat)).toEqual(row)
      const other = digestByOther(flat)
      expect(other.flat).toBe(flat)
      expect(other.digest).toBe(format2Digest(row))
    }),
    { numRuns: 300 }
  )
})

it("the digest verifies when both closed groups are erased", () => {
  for (const { flat, digest } of vectors) {
    const row = readRow(flat)
    const { id, marks, policyVersion, result, seq, source, timestamp } = row
    const open = { id, marks, policyVersion, result, seq, source, timestamp }
    expect(openDigest(open, closedGroups(row))).toBe(digest)
    expect(openDigest({ ...open, result: "FORGED" }, closedGroups(row))).not.toBe(digest)
  }
})

it("a text that differs from the canonical one in any character is refused, or is another row", () => {
  for (const { flat } of vectors) {
    for (let index = 0; index < flat.length; index++) {
      const changed = `${flat.slice(0, index)} ${flat.slice(index + 1)}`
      const row = changed === flat ? undefined : format2RowOf(changed)
      if (row !== undefined) expect(format2Json(row)).toBe(changed)
    }
  }
})

it("members that are null, empty or unknown are refused", () => {
  const flat = vectors[0]?.flat ?? ""
  expect(format2RowOf(flat)).toBeDefined()
  for (const member of ['"action":null,', '"client":{},', '"aaa":1,']) {
    expect(format2RowOf(`{${member}${flat.slice(1)}`)).toBeUndefined()
  }
  expect(format2RowOf(flat.replace('"result"', '"marks":[],"result"'))).toBeUndefined()
  expect(format2RowOf(flat.replace('"result"', '"metadata":{},"result"'))).toBeUndefined()
  expect(format2RowOf(flat.replace('"v":2', '"v":3'))).toBeUndefined()
})

const withMetadata = (metadata: string) =>
  format2RowOf((vectors[0]?.flat ?? "").replace('"result"', () => `"metadata":${metadata},"result"`))

it("metadata that are not in canonical form are refused, because a verifier writes them again from their value", () => {
  for (const metadata of [
    '{"a":1,"b":{"c":[2.5,"d"],"e":null}}',
    '{"1":1,"10":2,"2":3}',
    '{"\\u0001":"é\\n"}',
    '{"a":1e+21}'
  ]) {
    expect(withMetadata(metadata)?.metadata).toBe(metadata)
  }
  const unsorted = [
    '{"b":1,"a":2}',
    '{"a":{"d":1,"c":2}}',
    '{"a":[{"d":1,"c":2}]}',
    '{"2":1,"10":2}',
    '{"\uffff":1,"\u{1f600}":2}'
  ]
  const repeated = ['{"a":1,"a":1}', '{"a":1,"a":2}']
  const numbers = ["1.0", "1e2", "-0", "0.10", "9007199254740993", "1e400", "1E21"].map((number) => `{"a":${number}}`)
  const spaced = ['{"a": 1}', '{ "a":1}', '{"a":[1, 2]}']
  const texts = ['{"a":"\\u00e9"}', '{"a":"\\/"}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"\\udc00":1}']
  const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
  for (const metadata of [...unsorted, ...repeated, ...numbers, ...spaced, ...texts, deep, "[]", "null"]) {
    expect(withMetadata(metadata), metadata.slice(0, 40)).toBeUndefined()
  }
})

it("texts with NUL or with half a surrogate pair are refused", () => {
  const flat = vectors[1]?.flat ?? ""
  for (const escape of ["\\u0000", "\\ud800", "\\udc00"]) {
    for (const text of ["allowed by a group", "curl/8.11", "groups.readers[0]", "7f3a", "reason:truncated"]) {
      expect(flat).toContain(text)
      expect(format2RowOf(flat.replace(text, text + escape))).toBeUndefined()
    }
  }
})
