import type * as Effect from "effect/Effect"
import * as LastingTrouble from "./LastingTrouble.ts"

/** Tells in the log when events are taken, and the promise when they are on the disk is broken. */
export const watch = (read: () => LastingTrouble.Trouble): Effect.Effect<never> =>
  LastingTrouble.watch(read, {
    lasts: ({ detail }) =>
      `The audit journal's events are not on the disk: ${detail}. They survive the end of this process, and not that of the ` +
      "machine; answers that wait for the disk (AUDIT_DURABILITY=fsync) are refused. Mend the disk of GRAVITAS_HOME; the process " +
      "goes on by itself.",
    over: "The audit journal's disk answers again."
  })
