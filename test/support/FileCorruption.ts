import * as Fs from "node:fs"
import * as Path from "node:path"
import * as FastCheck from "effect/FastCheck"
import { frameAt, type SlotsLeft, segmentsIn } from "./JournalFixtures.ts"
import type { Life } from "./JournalModel.ts"

/** What happens to the files of a process that is gone. */
export interface Injuries {
  /** The share that is left of the last segment. */
  readonly segment: number | null
  /** The share that is left of the file `state`. */
  readonly state: number | null
  readonly flips: ReadonlyArray<{ readonly file: number; readonly at: number; readonly bit: number }>
}

const share = FastCheck.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const cut = FastCheck.option(share, { freq: 1 })

export const injuries: FastCheck.Arbitrary<Injuries> = FastCheck.record({
  segment: cut,
  state: cut,
  flips: FastCheck.array(FastCheck.record({ file: share, at: share, bit: FastCheck.nat({ max: 7 }) }), { maxLength: 4 })
})

const slotBytes = 2_048

/** Does the damage, and says what it may cost. */
export const damage = (life: Life, { flips, segment, state }: Injuries) => {
  const segments = segmentsIn(life.path)
  const paths = [...segments, Path.join(life.path, "state")]
  const before = paths.map((path) => Fs.readFileSync(path))
  /** For each file the offsets that were touched, and where it was cut. */
  const touched = paths.map((): Array<number> => [])
  const lengths = before.map(({ length }) => length)
  if (segment !== null && segments.length > 0) {
    lengths[segments.length - 1] = Math.floor((before[segments.length - 1]?.length ?? 0) * segment)
  }
  if (state !== null) lengths[segments.length] = Math.floor(2 * slotBytes * state)

  const after = before.map((bytes, index) => Buffer.from(bytes.subarray(0, lengths[index])))
  for (const { at, bit, file } of flips) {
    const index = Math.floor(file * paths.length)
    const bytes = after[index]
    if (bytes === undefined || bytes.length === 0) continue
    const offset = Math.floor(at * bytes.length)
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit)
    touched[index]?.push(offset)
  }
  for (const [index, path] of paths.entries()) Fs.writeFileSync(path, after[index] ?? "")

  const isTouched = (index: number, from: number, to: number): boolean =>
    to > (lengths[index] ?? 0) || (touched[index] ?? []).some((offset) => offset >= from && offset < to)

  const events = life.appended()
  const places = segments.map((_, index) =>
    events.flatMap(({ json, seq }) => {
      const place = frameAt(before[index] ?? Buffer.alloc(0), json)
      return place === undefined ? [] : [{ ...place, seq }]
    })
  )
  const lost = new Set(
    places.flatMap((frames, index) => frames.flatMap(({ from, seq, to }) => (isTouched(index, from, to) ? [seq] : [])))
  )
  const headersTouched = places.every((frames, index) =>
    isTouched(index, 0, frames[0]?.from ?? before[index]?.length ?? 0)
  )
  const written = [0, slotBytes].filter((from) =>
    before[segments.length]?.subarray(from, from + slotBytes).some((byte) => byte !== 0)
  )
  const touchedSlots = written.filter((from) => isTouched(segments.length, from, from + slotBytes)).length
  const slots: SlotsLeft = touchedSlots === 0 ? "all" : touchedSlots < written.length ? "one" : "none"
  return { lost, slots, mayBeUnusable: slots === "none" && headersTouched }
}
