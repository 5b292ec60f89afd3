import * as Crypto from "node:crypto"
import { expect, it } from "@effect/vitest"
import { decodeEntry } from "../../../src/audit/tree/EntryReading.ts"
import {
  cosignText,
  formatCheckpoint,
  formatVerifierKey,
  makeSigningKey,
  signNote
} from "../../../src/audit/tree/NoteSigning.ts"
import { formatProofFile } from "../../../src/audit/tree/ProofFileWriting.ts"
import { parseCheckpoint, verifyCheckpoint } from "../../../src/audit/tree/verify/Checkpoint.ts"
import { encodeEntry } from "../../../src/audit/tree/verify/LeafEntry.ts"
import { maxProofBytes, parseProofFile, verifyProofFile } from "../../../src/audit/tree/verify/ProofFile.ts"
import {
  keyTypes,
  parseNote,
  parseVerifierKey,
  Refusal,
  verifyNote
} from "../../../src/audit/tree/verify/SignedNote.ts"
import vectors from "./vectors/notes.json" with { type: "json" }

const accepted = <A>(value: A | Refusal): A => {
  if (value instanceof Refusal) throw new Error(value.reason)
  return value
}

const isRefused = (value: unknown): boolean => value instanceof Refusal

/** An Ed25519 private key from its seed (RFC 8410). */
const keyOfSeed = (seed: string) =>
  Crypto.createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${seed}`, "hex"),
    format: "der",
    type: "pkcs8"
  })

const log = makeSigningKey(vectors.log.origin, keyOfSeed(vectors.log.seed))
const witness = makeSigningKey(vectors.witness.name, keyOfSeed(vectors.witness.seed), keyTypes.cosignature)
const policy = { log: log.verifier, witnesses: [witness.verifier], quorum: 1 }
const checkpointText = vectors.checkpoint.slice(0, vectors.checkpoint.lastIndexOf("\n\n") + 1)

it("the example of the specification verifies", () => {
  const key = accepted(parseVerifierKey(vectors.specification.verifierKey))
  const note = accepted(parseNote(Buffer.from(vectors.specification.note)))
  expect(note.text).toBe(vectors.specification.text)
  expect(accepted(verifyNote(note, [key]))).toEqual([{ key, time: undefined }])
  expect(formatVerifierKey(key)).toBe(vectors.specification.verifierKey)
})

it("keys, a checkpoint and a cosignature are the bytes of the vectors", () => {
  expect(formatVerifierKey(log.verifier)).toBe(vectors.log.verifierKey)
  expect(formatVerifierKey(witness.verifier)).toBe(vectors.witness.verifierKey)
  const checkpoint = accepted(verifyCheckpoint(Buffer.from(vectors.checkpoint), policy))
  expect(checkpoint.size).toBe(8)
  expect(checkpoint.witnesses.map(({ time }) => time)).toEqual([vectors.witness.time])
  expect(formatCheckpoint(checkpoint)).toBe(checkpointText)
  const note = signNote(checkpointText, [log]) + cosignText(checkpointText, witness, vectors.witness.time)
  expect(note).toBe(vectors.checkpoint)
})

it("the text of a note ends at its last empty line", () => {
  const text = "one\n\ntwo\n\nthree\n"
  const note = accepted(parseNote(Buffer.from(signNote(text, [log]))))
  expect(note.text).toBe(text)
  expect(isRefused(verifyNote(note, [log.verifier]))).toBe(false)
})

it("signatures of unknown keys are ignored, and one of a known key that fails is refused", () => {
  const other = makeSigningKey(vectors.log.origin, keyOfSeed("0b".repeat(32)))
  const two = accepted(parseNote(Buffer.from(signNote(checkpointText, [other, log]))))
  expect(accepted(verifyNote(two, [log.verifier]))).toHaveLength(1)
  expect(accepted(verifyNote(two, [log.verifier, other.verifier]))).toHaveLength(2)
  expect(isRefused(verifyNote(two, [witness.verifier]))).toBe(true)
  const foreign = signNote("another\n", [log]).split("\n\n")[1] ?? ""
  const both = accepted(parseNote(Buffer.from(`${signNote(checkpointText, [log])}${foreign}`)))
  expect(isRefused(verifyNote(both, [log.verifier]))).toBe(true)
})

it("at least 16 signatures are read", () => {
  const keys = Array.from({ length: 16 }, (_, at) => makeSigningKey(`key${at}`, keyOfSeed("0c".repeat(32))))
  const note = accepted(parseNote(Buffer.from(signNote(checkpointText, keys))))
  expect(
    accepted(
      verifyNote(
        note,
        keys.map(({ verifier }) => verifier)
      )
    )
  ).toHaveLength(16)
})

it("a checkpoint with any bit flipped is refused", () => {
  const bytes = Buffer.from(vectors.checkpoint)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(isRefused(verifyCheckpoint(flipped, policy))).toBe(true)
  }
})

it("a checkpoint that is cut or continued is refused", () => {
  const bytes = Buffer.from(vectors.checkpoint)
  for (let length = 0; length < bytes.length; length++) {
    expect(isRefused(verifyCheckpoint(bytes.subarray(0, length), policy))).toBe(true)
  }
  for (const more of ["\n", " ", "x", "\r", "\n\n", "\0"]) {
    expect(isRefused(verifyCheckpoint(Buffer.from(vectors.checkpoint + more), policy))).toBe(true)
  }
})

it("a checkpoint of another log, by a witness alone or below the quorum is refused", () => {
  const bytes = Buffer.from(vectors.checkpoint)
  expect(isRefused(verifyCheckpoint(bytes, { ...policy, quorum: 2 }))).toBe(true)
  const elsewhere = formatCheckpoint({ ...accepted(parseCheckpoint(checkpointText)), origin: "elsewhere.example" })
  expect(isRefused(verifyCheckpoint(Buffer.from(signNote(elsewhere, [log])), { ...policy, quorum: 0 }))).toBe(true)
  const alone = `${checkpointText}\n${cosignText(checkpointText, witness, 1)}`
  expect(isRefused(verifyCheckpoint(Buffer.from(alone), policy))).toBe(true)
  expect(isRefused(verifyCheckpoint(bytes, { ...policy, log: witness.verifier }))).toBe(true)
})

it("one public key counts as one witness, under whatever names", () => {
  const seed = keyOfSeed(vectors.witness.seed)
  const renamed = makeSigningKey("another.example", seed, keyTypes.cosignature)
  const note =
    signNote(checkpointText, [log]) + [witness, renamed].map((key) => cosignText(checkpointText, key, 1)).join("")
  const ofLog = makeSigningKey(log.verifier.name, keyOfSeed(vectors.log.seed), keyTypes.cosignature)
  for (const other of [witness, renamed, ofLog]) {
    const witnesses = [witness.verifier, { ...other.verifier }]
    expect(isRefused(verifyCheckpoint(Buffer.from(note), { ...policy, witnesses, quorum: 2 }))).toBe(true)
  }
})

it("a policy with an impossible quorum, or with a log's key as a witness, is refused", () => {
  const bytes = Buffer.from(signNote(checkpointText, [log]))
  expect(isRefused(verifyCheckpoint(bytes, { ...policy, quorum: 0 }))).toBe(false)
  for (const quorum of [Number.NaN, -1, 0.5, 2]) {
    expect(isRefused(verifyCheckpoint(bytes, { ...policy, quorum }))).toBe(true)
  }
  const another = makeSigningKey("another.example", keyOfSeed("0b".repeat(32))).verifier
  expect(isRefused(verifyCheckpoint(bytes, { ...policy, witnesses: [another], quorum: 0 }))).toBe(true)
})

it("of two cosignatures of a witness the later counts, in any order", () => {
  const [one, other] = [cosignText(checkpointText, witness, 1), cosignText(checkpointText, witness, 99)]
  for (const lines of [one + other, other + one]) {
    const note = Buffer.from(signNote(checkpointText, [log]) + lines)
    expect(accepted(verifyCheckpoint(note, policy)).witnesses.map(({ time }) => time)).toEqual([99])
  }
})

it("nothing is written that a verifier would refuse", () => {
  const checkpoint = accepted(parseCheckpoint(checkpointText))
  for (const change of [{ origin: "a\nb" }, { size: 1e21 }, { root: new Uint8Array(3) }]) {
    expect(() => formatCheckpoint({ ...checkpoint, ...change })).toThrow(RangeError)
  }
  expect(() => signNote("no line feed", [log])).toThrow(RangeError)
  expect(() => signNote("a\rb\n", [log])).toThrow(RangeError)
  expect(() => signNote(checkpointText, [])).toThrow(RangeError)
  expect(() => signNote(checkpointText, [witness])).toThrow(RangeError)
  expect(() => cosignText(checkpointText, log, 1)).toThrow(RangeError)
})

it("a proof file and a key that are too large are refused before they are read", () => {
  expect(isRefused(parseProofFile(Buffer.alloc(maxProofBytes + 1, "a\n")))).toBe(true)
  const refused = parseVerifierKey(`${"n".repeat(2_000_000)}+00000000+AA==`)
  expect(refused instanceof Refusal && refused.reason.length).toBeLessThan(200)
})

const root = Buffer.alloc(32, 1).toString("base64")

it.each([
  ["a leading zero", `log\n08\n${root}\n`],
  ["a sign", `log\n+8\n${root}\n`],
  ["a space", `log\n 8\n${root}\n`],
  ["no size", `log\n\n${root}\n`],
  ["a size above 2^53 - 1", `log\n9007199254740992\n${root}\n`],
  ["a root without padding", `log\n8\n${root.slice(0, -1)}\n`],
  ["a root with loose bits", `log\n8\n${root.slice(0, -2)}F=\n`],
  ["a root of base64url", `log\n8\n${Buffer.alloc(32, 255).toString("base64url")}\n`],
  ["a root of 31 bytes", `log\n8\n${Buffer.alloc(31).toString("base64")}\n`],
  ["a root of 33 bytes", `log\n8\n${Buffer.alloc(33).toString("base64")}\n`],
  ["a carriage return", `log\n8\r\n${root}\n`],
  ["no origin", `\n8\n${root}\n`],
  ["an empty extension", `log\n8\n${root}\n\n`],
  ["no last line feed", `log\n8\n${root}`],
  ["another root of the empty tree", `log\n0\n${root}\n`]
])("a checkpoint with %s is refused", (_, text) => {
  expect(isRefused(parseCheckpoint(text))).toBe(true)
  expect(isRefused(parseCheckpoint(`log\n8\n${root}\n`))).toBe(false)
})

it.each([
  ["no signature", "text\n\n"],
  ["no empty line", "text\n— log AAAAAAA=\n"],
  ["a carriage return", "text\r\n\n— log AAAAAAA=\n"],
  ["a tab", "a\ttext\n\n— log AAAAAAA=\n"],
  ["a next-line character", "a\u0085text\n\n— log AAAAAAA=\n"],
  ["a hyphen instead of the dash", "text\n\n- log AAAAAAA=\n"],
  ["two spaces", "text\n\n—  log AAAAAAA=\n"],
  ["a plus sign in a name", "text\n\n— l+g AAAAAAA=\n"],
  ["a wide space in a name", "text\n\n— l\u2003g AAAAAAA=\n"],
  ["base64 without padding", "text\n\n— log AAAAAAA\n"],
  ["base64 with loose bits", "text\n\n— log AAAAAAB=\n"],
  ["a signature without bytes", "text\n\n— log AAAAAA==\n"],
  ["a line that is not a signature", "text\n\n— log AAAAAAA=\nx\n"]
])("a note with %s is refused", (_, text) => {
  expect(isRefused(parseNote(Buffer.from(text)))).toBe(true)
  expect(isRefused(parseNote(Buffer.from("text\n\n— log AAAAAAA=\n")))).toBe(false)
})

it("a note that is not UTF-8 is refused", () => {
  expect(isRefused(parseNote(Buffer.from([0xff, ...Buffer.from("text\n\n— log AAAAAAA=\n")])))).toBe(true)
})

it("a verifier key with another id, type, length or encoding is refused", () => {
  const key = vectors.log.verifierKey
  const [name = "", id = "", encoded = ""] = key.split("+")
  const long = Buffer.concat([Buffer.from(encoded, "base64"), Buffer.of(0)]).toString("base64")
  const cases = [`${name}+00000000+${encoded}`, `${name}+${id.toUpperCase()}+${encoded}`, `${name}+${id}+${long}`]
  for (const text of [...cases, `${key} `, ` ${key}`, `${name}x+${id}+${encoded}`, `${name}+${id}`, "", `${key}\n`]) {
    expect(isRefused(parseVerifierKey(text))).toBe(true)
  }
})

it("the proof file of the vectors verifies and is written byte by byte", () => {
  const file = accepted(parseProofFile(Buffer.from(vectors.proofFile.text)))
  const entry = Buffer.from(vectors.proofFile.entry, "hex")
  expect(file.index).toBe(vectors.proofFile.index)
  expect(Buffer.from(file.extra ?? []).toString("hex")).toBe(vectors.proofFile.extra)
  expect(accepted(verifyProofFile(file, entry, policy)).size).toBe(8)
  expect(formatProofFile(file).toString()).toBe(vectors.proofFile.text)
  expect(isRefused(verifyProofFile(file, Buffer.from("another"), policy))).toBe(true)
})

it("a proof file with any bit flipped after its extra line is refused", () => {
  const bytes = Buffer.from(vectors.proofFile.text)
  const entry = Buffer.from(vectors.proofFile.entry, "hex")
  const start = bytes.indexOf("\nindex") + 1
  for (let bit = start * 8; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const file = parseProofFile(flipped)
    expect(file instanceof Refusal || isRefused(verifyProofFile(file, entry, policy))).toBe(true)
  }
})

it.each([
  ["another version", (text: string) => text.replace("@v1", "@v2")],
  ["a leading zero in the index", (text: string) => text.replace("index 5", "index 05")],
  ["no index", (text: string) => text.replace("index 5\n", "")],
  ["extra bytes that are not base64", (text: string) => text.replace("extra ", "extra !")],
  ["a second extra line", (text: string) => text.replace("index", "extra AAAA\nindex")],
  ["carriage returns", (text: string) => text.replaceAll("\n", "\r\n")],
  ["a hash that is too short", (text: string) => text.replace("index 5\n", "index 5\nAAAA\n")],
  ["too many hashes", (text: string) => text.replace("index 5\n", `index 5\n${`${root}\n`.repeat(60)}`)]
])("a proof file with %s is refused", (_, change) => {
  expect(isRefused(parseProofFile(Buffer.from(change(vectors.proofFile.text))))).toBe(true)
})

it("a proof file that is cut is refused", () => {
  const bytes = Buffer.from(vectors.proofFile.text)
  const entry = Buffer.from(vectors.proofFile.entry, "hex")
  for (let length = 0; length < bytes.length; length++) {
    const file = parseProofFile(bytes.subarray(0, length))
    expect(file instanceof Refusal || isRefused(verifyProofFile(file, entry, policy))).toBe(true)
  }
})

it("an entry is 49 bytes: format, id and digest", () => {
  const entry = { format: 1, id: "0193a5b0-7c6e-7def-8123-456789abcdef", digest: "ab".repeat(32) }
  const bytes = encodeEntry(entry)
  expect(Buffer.from(bytes).toString("hex")).toBe(`010193a5b07c6e7def8123456789abcdef${"ab".repeat(32)}`)
  expect(decodeEntry(bytes)).toEqual(entry)
  expect(decodeEntry(bytes.subarray(1))).toBeUndefined()
  expect(decodeEntry(new Uint8Array(50).fill(1))).toBeUndefined()
  expect(decodeEntry(new Uint8Array(49))).toBeUndefined()
  expect(() => encodeEntry({ ...entry, format: 0 })).toThrow(RangeError)
  expect(() => encodeEntry({ ...entry, format: 256 })).toThrow(RangeError)
  expect(() => encodeEntry({ ...entry, digest: "ab" })).toThrow(RangeError)
  const moved = { id: entry.id.slice(0, -1), digest: `${entry.id.at(-1)}${entry.digest}` }
  expect(() => encodeEntry({ ...entry, ...moved })).toThrow(RangeError)
})
