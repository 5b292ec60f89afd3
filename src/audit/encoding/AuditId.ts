import * as Schema from "effect/Schema"

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A recorded event's identity: a lowercase UUIDv7 that `AuditLog.record` made; the row's primary key. */
export const AuditId = Schema.String.pipe(Schema.pattern(shape), Schema.brand("AuditId"))
export type AuditId = typeof AuditId.Type

/** Checks an id as `Schema.is(AuditId)` does, faster. */
export const isAuditId = (value: unknown): value is AuditId => typeof value === "string" && shape.test(value)

/** Fills the array with unpredictable bytes. */
export type FillRandom = (bytes: Uint8Array) => void

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** Hexadecimal of the byte; an index outside the array reads as 00, which the callers' bounds exclude. */
const at = (bytes: Uint8Array, index: number): string => hex[bytes[index] ?? 0] ?? "00"

/** Two bytes seed the counter, eight are the random tail. */
const bytesPerId = 10
/** A call for random bytes costs more than all other steps, however many bytes it returns. */
const idsPerBlock = 128

const timePrefix = (millis: number): string => {
  const digits = millis.toString(16).padStart(12, "0")
  return `${digits.slice(0, 8)}-${digits.slice(8)}`
}

/**
 * Returns the smallest uuid of a time (milliseconds since the epoch): every UUIDv7 of that time or later sorts at or after it,
 * every earlier one before it. Times outside the range of 48 bits are moved into it.
 */
export const uuidFloor = (millis: number): string =>
  `${timePrefix(Math.min(Math.max(Math.floor(millis), 0), 2 ** 48 - 1))}-0000-0000-000000000000`

/** Reads the milliseconds since the epoch from the first 48 bits of a UUIDv7. */
export const millisOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)

/**
 * How far, in milliseconds, the time in an id may be ahead of the clock. Smaller steps back (a leap second, an adjustment) are
 * bridged. A larger one shows that the clock was wrong before, so that recent ids carry a time in the future.
 */
export const clockTolerance = 60_000

/**
 * Makes UUIDv7 (RFC 9562, section 5.7), each greater than the previous one, even when the clock stops or steps back by up to
 * `clockTolerance` (section 6.2, method 1). The 12 bits of rand_a count within a millisecond, from a random start in their
 * lower half; an overflow takes the next millisecond. The other 62 bits are random each time, so that no id can be guessed.
 *
 * After a larger step back the ids follow the clock again, and `onStepBack` receives the step in milliseconds. Section 6.2 asks
 * for increasing ids, so that keys sort in the order of creation. Here `seq` has that order, and ids from a wrong future time
 * would put each later event outside the months that may have a partition.
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
