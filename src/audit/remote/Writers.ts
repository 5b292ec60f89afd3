import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** The stores that write over HTTP. After a store has given up, none of its requests in transit may be written. */
export interface Writers {
  /** Runs a write. Fails at once when the writer has given up. */
  readonly write: <A, E, R>(writer: string, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
  /** Refuses further writes of the writer, and waits until its running writes have ended. */
  readonly retire: (writer: string) => Effect.Effect<void>
}

interface WriterState {
  running: number
  /** Milliseconds since the epoch. */
  retiredAt: number | undefined
  readonly ended: Deferred.Deferred<void>
}

/** No request is in transit for so long. */
const remembered = Duration.toMillis("1 hour")

const gaveUp = new DatabaseError({
  phase: "connect",
  reason: "this writer has given up; its requests are not written any more"
})

export const make = (): Writers => {
  const states = new Map<string, WriterState>()

  const stateOf = (writer: string): WriterState => {
    const known = states.get(writer)
    if (known !== undefined) return known
    const made: WriterState = { running: 0, retiredAt: undefined, ended: Deferred.unsafeMake(FiberId.none) }
    states.set(writer, made)
    return made
  }

  const leave = (writer: string, state: WriterState) =>
    Effect.suspend(() => {
      state.running -= 1
      if (state.running > 0) return Effect.void
      if (state.retiredAt === undefined) states.delete(writer)
      return Effect.asVoid(Deferred.succeed(state.ended, undefined))
    })

  const prune = (now: number) => {
    for (const [writer, { retiredAt, running }] of states) {
      if (running === 0 && retiredAt !== undefined && now - retiredAt > remembered) states.delete(writer)
    }
  }

  return {
    write: (writer, work) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const state = stateOf(writer)
          if (state.retiredAt !== undefined) return Effect.fail(gaveUp)
          state.running += 1
          return Effect.succeed(state)
        }),
        () => work,
        (state) => leave(writer, state)
      ),
    retire: (writer) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        prune(now)
        const state = stateOf(writer)
        state.retiredAt ??= now
        return state.running === 0 ? Effect.void : Deferred.await(state.ended)
      })
  }
}
