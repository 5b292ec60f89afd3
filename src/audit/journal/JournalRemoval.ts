import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import { lockName } from "./JournalDirectory.ts"
import { reasonOf } from "./JournalFiles.ts"
import { indexOf } from "./Segment.ts"

/**
 * Removes a journal's directory; its lock is held. First the segments, then the state, which says that all is settled, and the
 * lock last: an end in between leaves something that the next who takes it over removes. False, and never a failure, where a
 * disk keeps the files.
 */
export const remove = (path: string): Effect.Effect<boolean> =>
  Effect.tryPromise({
    try: async () => {
      const names = await Fs.readdir(path)
      const segments = names.filter((name) => indexOf(name) !== undefined)
      const others = names.filter((name) => name !== lockName && !segments.includes(name))
      for (const name of [...segments.toSorted(), ...others]) await Fs.rm(Path.join(path, name), { force: true })
      await Fs.rm(Path.join(path, lockName), { force: true })
      await Fs.rmdir(path)
    },
    catch: (cause) =>
      cause instanceof Error && "code" in cause && cause.code === "ENOENT" ? undefined : reasonOf(cause)
  }).pipe(
    Effect.as(true),
    Effect.catchAll((reason) =>
      reason === undefined
        ? Effect.succeed(true)
        : Effect.as(
            Effect.logWarning(
              `The audit journal ${path} is settled and not removed yet: ${reason}. A gatekeeper with this GRAVITAS_HOME tries ` +
                "again each minute."
            ),
            false
          )
    )
  )
