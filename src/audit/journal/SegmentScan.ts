import * as Effect from "effect/Effect"
import * as Frame from "./Frame.ts"
import { attempt, type FileTrouble, type JournalFiles } from "./JournalFiles.ts"

/** A record that is whole. */
export interface FrameFound {
  readonly _tag: "Frame"
  readonly offset: number
  /** In the file, with its head. */
  readonly bytes: number
  readonly seq: number
  readonly json: string
}

/** Bytes that are no record, up to the next one that is or to the end. */
export interface DamageFound {
  readonly _tag: "Damage"
  readonly from: number
  readonly to: number
}

export type Found = FrameFound | DamageFound

export interface SegmentScan {
  /** The next findings in order, at most `max` records among them; none at the end. What is appended later is found by a later call. */
  readonly next: (max: number) => Effect.Effect<ReadonlyArray<Found>, FileTrouble>
  /** Everything before this offset was found. */
  readonly position: () => number
}

export interface SegmentScanOptions {
  readonly path: string
  readonly files: JournalFiles
  /** What the checksums of its frames may start from. */
  readonly seeds: ReadonlyArray<number>
  readonly from: number
  /** Where the records end; a file that is shorter is damaged there. */
  readonly end: () => number
  /** Holds what was read ahead; no other scan may use it meanwhile. */
  readonly window: Buffer
  /** Without it findings carry no JSON, which spares the decoding. */
  readonly texts: boolean
}

/** Takes any frame, and reads far ahead of most. */
export const makeWindow = (): Buffer => Buffer.allocUnsafe(4 * Frame.maxFrame)

/**
 * Reads the records of a segment in order with flat memory, whatever the file holds: damage is told and passed over. Its
 * bytes are those of its frames and damaged spans, each byte once.
 */
export const make = (options: SegmentScanOptions): SegmentScan => {
  const { end, files, path, seeds, texts, window } = options
  /** The file's offset of the window's first byte. */
  let base = options.from
  let filled = 0
  let at = 0
  let damageFrom = -1
  /** The file had no more bytes than these when they were asked for. */
  let missingFrom = -1

  const passDamage = () => {
    if (damageFrom < 0) damageFrom = base + at
    const next = window.subarray(0, filled).indexOf(Frame.magic, at + 1)
    // The last three bytes may be the start of a magic that goes on behind the window.
    at = next === -1 ? Math.max(at + 1, filled - Frame.magic.length + 1) : next
  }

  const found: Array<Found> = []
  const tellDamage = (to: number) => {
    if (damageFrom >= 0 && to > damageFrom) found.push({ _tag: "Damage", from: damageFrom, to })
    damageFrom = -1
  }

  /** Goes through the window; false when its end comes too soon to tell what is there. */
  const parse = (max: number): boolean => {
    while (found.length < max) {
      const bytes = Frame.probe(window, at, filled, seeds)
      if (bytes === -1) return false
      if (bytes === 0) {
        passDamage()
        continue
      }
      tellDamage(base + at)
      const json = texts ? Frame.payloadOf(window, at, bytes) : ""
      found.push({ _tag: "Frame", offset: base + at, bytes, seq: Frame.seqOf(window, at), json })
      at += bytes
    }
    return true
  }

  const fill = (until: number) =>
    Effect.map(
      Effect.suspend(() => {
        window.copy(window, 0, at, filled)
        base += at
        filled -= at
        at = 0
        const wanted = Math.min(window.length - filled, until - base - filled)
        const target = window.subarray(filled, filled + wanted)
        return attempt(path, () => files.read(path, target, wanted, base + filled)).pipe(
          Effect.map((read) => ({ read, wanted }))
        )
      }),
      ({ read, wanted }) => {
        filled += read
        missingFrom = read < wanted ? base + filled : -1
      }
    )

  /** What is left where nothing more can be read: no frame begins at `at`, but one may begin behind it. */
  const finish = (until: number): boolean => {
    if (at < filled) {
      passDamage()
      return false
    }
    if (until > base + filled) {
      if (damageFrom < 0) damageFrom = base + filled
      base = until
      filled = 0
      at = 0
    }
    tellDamage(until)
    return true
  }

  return {
    next: (max) =>
      Effect.gen(function* () {
        for (;;) {
          const until = end()
          // A segment whose end was taken back, because what came after is not trusted any more.
          if (base + at >= until && damageFrom < 0) break
          if (parse(max)) break
          if (base + filled < until && missingFrom !== base + filled) {
            if (found.length > 0) break
            yield* fill(until)
          } else if (finish(until)) break
        }
        return found.splice(0)
      }),
    position: () => (damageFrom < 0 ? base + at : damageFrom)
  }
}
