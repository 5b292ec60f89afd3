import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as JournalState from "../../../src/audit/journal/JournalState.ts"
import { identityOf } from "../../support/JournalFixture.ts"

const identity = identityOf("3f1c9c1e-0000-4000-8000-000000000001")
const valuesOf = (lastSeq: number): JournalState.StateValues => ({
  lastSeq,
  refused: 2 ** 40 + lastSeq,
  shed: 3,
  acknowledged: lastSeq - 1,
  ended: lastSeq % 2 === 0
})

/** A state file after so many writes, the last of which reached the disk up to `cut` bytes. */
const written = (writes: number, cut: number = JournalState.slotBytes): Buffer => {
  const file = Buffer.alloc(JournalState.stateBytes)
  const slot = JournalState.makeSlot(identity)
  for (let write = 1; write <= writes; write++) {
    const { bytes, position } = slot.next(valuesOf(write))
    bytes.copy(file, position, 0, write === writes ? cut : bytes.length)
  }
  return file
}

it("the last values written are those that are read", () => {
  for (const writes of [1, 2, 3, 10]) {
    expect(Option.getOrThrow(JournalState.decode(written(writes)))).toEqual({
      identity,
      generation: writes,
      ...valuesOf(writes)
    })
  }
})

it.prop(
  "a write that is cut anywhere leaves the values before it, or is whole",
  { writes: FastCheck.integer({ min: 2, max: 9 }), cut: FastCheck.integer({ min: 0, max: JournalState.slotBytes }) },
  ({ cut, writes }) => {
    const read = Option.getOrThrow(JournalState.decode(written(writes, cut)))
    expect([writes - 1, writes]).toContain(read.generation)
    expect(read).toMatchObject(valuesOf(read.generation))
    if (cut === JournalState.slotBytes) expect(read.generation).toBe(writes)
  }
)

it.prop(
  "a flipped bit is never believed, and any bytes are read without a fault",
  {
    bit: FastCheck.integer({ min: 0, max: JournalState.stateBytes * 8 - 1 }),
    noise: FastCheck.uint8Array({ maxLength: 5_000 })
  },
  ({ bit, noise }) => {
    const file = written(2)
    file.writeUInt8(file.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    const read = JournalState.decode(file)
    if (Option.isSome(read)) expect(read.value).toMatchObject(valuesOf(read.value.generation))
    expect(Option.isNone(JournalState.decode(Buffer.from(noise)))).toBe(true)
  }
)

it("an identity that does not fit is refused before anything is written", () => {
  expect(() => JournalState.makeSlot({ ...identity, host: "h".repeat(3_000) })).toThrow(/too long/)
})
