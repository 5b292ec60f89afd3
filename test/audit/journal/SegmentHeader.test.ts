import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as SegmentHeader from "../../../src/audit/journal/SegmentHeader.ts"
import { identityOf } from "../../support/JournalFixture.ts"

const header: SegmentHeader.SegmentHeader = {
  ...identityOf("3f1c9c1e-0000-4000-8000-000000000001"),
  firstSeq: 17,
  nonce: "a-nonce",
  predecessors: [{ segment: 3, end: 4_096 }]
}

it("a header is read as it was written, whatever follows it", () => {
  const { bytes, seed } = SegmentHeader.encode(header)
  for (const rest of [Buffer.alloc(0), Buffer.alloc(3_000, 0xff)]) {
    expect(SegmentHeader.decode(Buffer.concat([bytes, rest]))).toEqual({
      _tag: "Valid",
      header,
      length: bytes.length,
      seed
    })
  }
})

it("headers that differ in nothing but their nonce give their frames different checksums", () => {
  expect(SegmentHeader.encode(header).seed).not.toBe(SegmentHeader.encode({ ...header, nonce: "another" }).seed)
})

it.prop(
  "a flipped bit is noticed, and what the checksums start from is still known",
  { bit: FastCheck.integer({ min: 0, max: SegmentHeader.encode(header).bytes.length * 8 - 1 }) },
  ({ bit }) => {
    const { bytes, seed } = SegmentHeader.encode(header)
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const read = SegmentHeader.decode(bytes)
    if (read._tag !== "Damaged") return expect.fail(read._tag)
    expect(read.seeds).toContain(seed)
  }
)

it("a whole header of a later format is told from damage", () => {
  const { bytes } = SegmentHeader.encode(header)
  const later = Buffer.from(bytes)
  later.writeUInt32LE(SegmentHeader.formatVersion + 1, 8)
  expect(SegmentHeader.decode(later)._tag).toBe("Damaged")
  later.writeUInt32LE(SegmentHeader.checksum(later, later.length), 16)
  expect(SegmentHeader.decode(later)).toEqual({ _tag: "Newer", version: SegmentHeader.formatVersion + 1 })
})

it.prop("any bytes are read without a fault", { noise: FastCheck.uint8Array({ maxLength: 400 }) }, ({ noise }) => {
  const { bytes } = SegmentHeader.encode(header)
  expect(SegmentHeader.decode(Buffer.from(noise))._tag).toBe("Damaged")
  expect(SegmentHeader.decode(Buffer.concat([bytes.subarray(0, 24), Buffer.from(noise)]))._tag).toBe("Damaged")
})
