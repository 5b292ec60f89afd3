import type * as Effect from "effect/Effect"
import * as LastingTrouble from "../LastingTrouble.ts"

/** Why the journal cannot be read on. */
export type ReadTrouble = LastingTrouble.Trouble

/** Tells in the log when the journal cannot be read: the events that wait for that are in no other place. */
export const watch = (read: () => ReadTrouble): Effect.Effect<never> =>
  LastingTrouble.watch(read, {
    lasts: ({ detail, since }) =>
      `An audit journal cannot be read on since ${new Date(since).toISOString()}: ${detail}. The events ` +
      "that the memory has no room for wait in it, and those after them. Mend the disk of GRAVITAS_HOME; it is tried " +
      "again all the time.",
    over: "The audit journals can be read again."
  })
