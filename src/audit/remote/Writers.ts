import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** The writers that ask over HTTP: one that gave up must not have a request of its own, still on its way, written later. */
export interface Writers {
  /** Fails at once when the writer has given up. */
  readonly write: <A, E, R>(writer: string, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
  /** No work of the writer begins any more; returns when what had begun has ended. */
  readonly retire: (writer: string) => Effect.Effect<void>
}

interface Standing {
  running: number
  /** Milliseconds since the epoch. */
  retiredAt: number | undefined
  readonly ended: Deferred.Deferred<void>
}

/** No request is on its way for so long. */
const remembered = Duration.toMillis("1 hour")

const gaveUp = new DatabaseError({
  phase: "connect",
  reason: "this writer has given up; nothing more of it is written"
})

export const make = (): Writers => {
  const standings = new Map<string, Standing>()

  const standingOf = (writer: string): Standing => {
    const known = standings.get(writer)
    if (known !== undefined) return known
    const made: Standing = { running: 0, retiredAt: undefined, ended: Deferred.unsafeMake(FiberId.none) }
    standings.set(writer, made)
    return made
  }

  const leave = (writer: string, standing: Standing) =>
    Effect.suspend(() => {
      standing.running -= 1
      if (standing.running > 0) return Effect.void
      if (standing.retiredAt === undefined) standings.delete(writer)
      return Effect.asVoid(Deferred.succeed(standing.ended, undefined))
    })

  const prune = (now: number) => {
    for (const [writer, { retiredAt, running }] of standings) {
      if (running === 0 && retiredAt !== undefined && now - retiredAt > remembered) standings.delete(writer)
    }
  }

  return {
    write: (writer, work) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const standing = standingOf(writer)
          if (standing.retiredAt !== undefined) return Effect.fail(gaveUp)
          standing.running += 1
          return Effect.succeed(standing)
        }),
        () => work,
        (standing) => leave(writer, standing)
      ),
    retire: (writer) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        prune(now)
        const standing = standingOf(writer)
        standing.retiredAt ??= now
        return standing.running === 0 ? Effect.void : Deferred.await(standing.ended)
      })
  }
}
