import * as Effect from "effect/Effect"
import * as Frame from "./Frame.ts"
import { attempt, type FileTrouble, type JournalFiles } from "./JournalFiles.ts"

/** An intact record. */
export interface FrameFound {
  readonly _tag: "Frame"
  readonly offset: number
  /** Its length in the file, its head included. */
  readonly bytes: number
  readonly seq: number
  readonly json: string
}

/** Bytes that are not a record, up to the next record or the end. */
export interface DamageFound {
  readonly _tag: "Damage"
  readonly from: number
  readonly to: number
}

export type Found = FrameFound | DamageFound

export interface SegmentScanOptions {
  readonly path: string
  readonly files: JournalFiles
  /** The possible seeds of its frames' checksums. */
  readonly seeds: ReadonlyArray<number>
  readonly from: number
  /** Where the records end; a shorter file is damaged there. */
  readonly end: () => number
  /** Holds what was read ahead. No other scan may use it at the same time. */
  readonly window: Buffer
  /** If false, findings carry no JSON, which saves the decoding. */
  readonly texts: boolean
}

/** Holds any frame, and many frames of usual size. */
export const makeWindow = (): Buffer => Buffer.allocUnsafe(4 * Frame.maxFrame)

/** The state of a scan: a window of the file, and what was found in it. */
interface State extends SegmentScanOptions {
  /** The file's offset of the window's first byte. */
  base: number
  filled: number
  at: number
  /** Where damage began; -1 outside damage. */
  damageFrom: number
  /** Where the file ended when it was last read; -1 if it had more bytes. */
  missingFrom: number
  readonly found: Array<Found>
}

const passDamage = (state: State) => {
  if (state.damageFrom < 0) state.damageFrom = state.base + state.at
  const next = state.window.subarray(0, state.filled).indexOf(Frame.magic, state.at + 1)
  // The last three bytes may be the start of a magic that continues after the window.
  state.at = next === -1 ? Math.max(state.at + 1, state.filled - Frame.magic.length + 1) : next
}

const reportDamage = (state: State, to: number) => {
  if (state.damageFrom >= 0 && to > state.damageFrom) {
    state.found.push({ _tag: "Damage", from: state.damageFrom, to })
  }
  state.damageFrom = -1
}

/** Parses the window. Returns false when its end is too close to tell what follows. */
const parse = (state: State, max: number): boolean => {
  const { found, seeds, texts, window } = state
  while (found.length < max) {
    const bytes = Frame.probe(window, state.at, state.filled, seeds)
    if (bytes === -1) return false
    if (bytes === 0) {
      passDamage(state)
      continue
    }
    const offset = state.base + state.at
    reportDamage(state, offset)
    const json = texts ? Frame.payloadOf(window, state.at, bytes) : ""
    found.push({ _tag: "Frame", offset, bytes, seq: Frame.seqOf(window, state.at), json })
    state.at += bytes
  }
  return true
}

/** Moves the window forward and fills it from the file. */
const fill = Effect.fnUntraced(function* (state: State, until: number) {
  const { files, path, window } = state
  window.copy(window, 0, state.at, state.filled)
  state.base += state.at
  state.filled -= state.at
  state.at = 0
  const from = state.base + state.filled
  const wanted = Math.min(window.length - state.filled, until - from)
  const target = window.subarray(state.filled, state.filled + wanted)
  const read = yield* attempt(path, () => files.read(path, target, wanted, from))
  state.filled += read
  state.missingFrom = read < wanted ? from + read : -1
})

/** Handles the rest where nothing more can be read. Returns false when a frame may still begin after `at`. */
const finish = (state: State, until: number): boolean => {
  if (state.at < state.filled) {
    passDamage(state)
    return false
  }
  if (until > state.base + state.filled) {
    if (state.damageFrom < 0) state.damageFrom = state.base + state.filled
    state.base = until
    state.filled = 0
    state.at = 0
  }
  reportDamage(state, until)
  return true
}

/**
 * Reads the records of a segment in order, with constant memory, whatever the file holds: damage is reported and skipped. Each
 * byte belongs to exactly one frame or damaged span.
 */
export const make = (options: SegmentScanOptions) => {
  const state: State = { ...options, base: options.from, filled: 0, at: 0, damageFrom: -1, missingFrom: -1, found: [] }
  return {
    /** Returns the next findings in order, with at most `max` records; empty at the end. Later calls find what is appended later. */
    next: (max: number): Effect.Effect<ReadonlyArray<Found>, FileTrouble> =>
      Effect.gen(function* () {
        for (;;) {
          const until = state.end()
          // The end of a segment moves back when its tail is not trusted any more.
          if (state.base + state.at >= until && state.damageFrom < 0) break
          if (parse(state, max)) break
          if (state.base + state.filled < until && state.missingFrom !== state.base + state.filled) {
            if (state.found.length > 0) break
            yield* fill(state, until)
          } else if (finish(state, until)) break
        }
        return state.found.splice(0)
      }),
    /** Everything before this offset was returned. */
    position: () => (state.damageFrom < 0 ? state.base + state.at : state.damageFrom)
  }
}

export type SegmentScan = ReturnType<typeof make>
