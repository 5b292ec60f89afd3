import { AuditId } from "./AuditId.ts"

/** Fills the array with unpredictable bytes. */
export type FillRandom = (bytes: Uint8Array) => void

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** Hexadecimal of the byte; an index outside the array reads as 00, which the callers' bounds exclude. */
const at = (bytes: Uint8Array, index: number): string => hex[bytes[index] ?? 0] ?? "00"

/** Two to seed the count, eight for the tail. */
const bytesPerId = 10
/** A call for random bytes costs more than all the rest here, whatever their number. */
const idsPerBlock = 128

const timePrefix = (millis: number): string => {
  const digits = millis.toString(16).padStart(12, "0")
  return `${digits.slice(0, 8)}-${digits.slice(8)}`
}

/**
 * The smallest uuid of a moment (milliseconds since the epoch): every UUIDv7 of that moment or later sorts at or after it,
 * every earlier one before it. Moments outside what 48 bits hold are held to that range.
 */
export const uuidFloor = (millis: number): string =>
  `${timePrefix(Math.min(Math.max(Math.floor(millis), 0), 2 ** 48 - 1))}-0000-0000-000000000000`

/** The milliseconds since the epoch in the first 48 bits of a UUIDv7. */
export const millisOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)

/**
 * How far, in milliseconds, an id's moment may lie ahead of the clock. Smaller steps back (a leap second, an adjustment) are
 * bridged; a larger one says that the clock had been wrong before, and that the ids since then carry a moment yet to come.
 */
export const clockTolerance = 60_000

/**
 * Makes UUIDv7 (RFC 9562, section 5.7), each greater than the one before, also when the clock stands still or steps back by
 * no more than `clockTolerance` (section 6.2, method 1): the 12 bits of rand_a count within a millisecond from a random
 * start in their lower half, and a count that overflows takes the next millisecond. The other 62 bits are random each time, so
 * that no id can be guessed.
 *
 * After a larger step back the ids follow the clock again and `onStepBack` gets the step in milliseconds. Section 6.2 asks
 * for ids that increase, so that a key's order is the order of making; here `seq` tells that, and holding on to a moment that
 * never was would put each later event outside the time that may have a partition, for as long as the process lives.
 */
export const makeUuidV7 = (
  fill: FillRandom,
  onStepBack: (millis: number) => void = () => {}
): ((now: number) => AuditId) => {
  const block = new Uint8Array(bytesPerId * idsPerBlock)
  let used = block.length
  let millis = -1
  let count = 0
  let prefix = ""
  return (now) => {
    if (used === block.length) {
      fill(block)
      used = 0
    }
    const start = used
    used += bytesPerId
    const ahead = millis - now
    if (ahead < 0 || ahead > clockTolerance || count === 0xfff) {
      if (ahead > clockTolerance) onStepBack(ahead)
      millis = ahead < 0 || ahead > clockTolerance ? now : millis + 1
      count = (((block[start] ?? 0) << 8) | (block[start + 1] ?? 0)) & 0x7ff
      prefix = timePrefix(millis)
    } else {
      count += 1
    }
    const variant = hex[((block[start + 2] ?? 0) & 0x3f) | 0x80] ?? "80"
    const node =
      at(block, start + 4) +
      at(block, start + 5) +
      at(block, start + 6) +
      at(block, start + 7) +
      at(block, start + 8) +
      at(block, start + 9)
    const id = `${prefix}-7${(count | 0x1000).toString(16).slice(1)}-${variant}${at(block, start + 3)}-${node}`
    return AuditId.make(id, true)
  }
}
