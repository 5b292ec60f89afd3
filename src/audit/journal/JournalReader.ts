import type * as Effect from "effect/Effect"

/** A record as it was appended. */
export interface JournalFrame {
  readonly seq: number
  readonly json: string
}

export interface JournalReading {
  /** In order. */
  readonly frames: ReadonlyArray<JournalFrame>
  /** Nothing that was appended when the reading ended is unread. */
  readonly caughtUp: boolean
  /** Damaged spans that were put aside during this reading. */
  readonly quarantined: number
}

export interface JournalReader {
  /**
   * Up to `max` records, fewer only at the end. Reads ahead in chunks and lets the event loop turn between slices. Damaged
   * records are quarantined and passed over. Never fails: what cannot be read is tried again, and the status says so.
   */
  readonly next: (max: number) => Effect.Effect<JournalReading>
  /** Keeps a record in the quarantine that was read and that nobody can make an event of. Tried until it is kept. */
  readonly putAside: (frame: JournalFrame) => Effect.Effect<void>
}
