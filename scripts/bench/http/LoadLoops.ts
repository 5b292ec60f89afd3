import { performance } from "node:perf_hooks"
import type { LoadAnswer, LoadConnection } from "./LoadConnection.ts"

/** Milliseconds, from performance.now(). */
export interface AnswerTiming {
  readonly at: number
  readonly took: number
}

export interface Loop {
  readonly connections: ReadonlyArray<LoadConnection>
  readonly start: number
  readonly end: number
  readonly answered: (answer: LoadAnswer, timing: AnswerTiming) => void
}

/** Each connection asks again once it is answered: as many requests as the server answers. */
export const closedLoop = ({ answered, connections, end }: Loop): Promise<void> =>
  new Promise((resolve) => {
    let working = connections.length
    const next = (connection: LoadConnection): void => {
      const asked = performance.now()
      if (asked >= end) {
        working -= 1
        if (working === 0) resolve()
        return
      }
      connection.ask((answer) => {
        const at = performance.now()
        answered(answer, { at, took: at - asked })
        next(connection)
      })
    }
    connections.forEach(next)
  })

/**
 * Sends at a fixed rate, whatever is answered. A request that finds no free connection waits for one, and its latency counts from the
 * time at which it was due: a server that stands still for a while is charged for all requests of that while. `late` gets the
 * milliseconds by which a request was noticed too late: timers have a resolution of a millisecond.
 */
export const openLoop = (
  { answered, connections, end, start }: Loop,
  requestsPerSecond: number,
  late: (millis: number) => void
): Promise<void> =>
  new Promise((resolve) => {
    const total = Math.floor(((end - start) * requestsPerSecond) / 1_000)
    const dueAt = (index: number): number => start + (index * 1_000) / requestsPerSecond
    const free = [...connections]
    let due = 0
    let sent = 0
    let done = 0
    const send = (): void => {
      while (sent < due) {
        const connection = free.pop()
        if (connection === undefined) return
        const since = dueAt(sent)
        sent += 1
        connection.ask((answer) => {
          const at = performance.now()
          answered(answer, { at, took: at - since })
          free.push(connection)
          done += 1
          if (done === total) resolve()
          else send()
        })
      }
    }
    const tick = (): void => {
      const now = performance.now()
      while (due < total && dueAt(due) <= now) {
        late(now - dueAt(due))
        due += 1
      }
      send()
      if (due < total) setTimeout(tick, dueAt(due) - performance.now())
    }
    tick()
  })
