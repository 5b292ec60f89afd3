import * as Effect from "effect/Effect"
import { type Running, withProgressOf } from "../../platform/cli/TerminalText.ts"
import type { Connection, QueryFailed, QueryResult } from "../../platform/postgres/Connection.ts"
import type { SentQuery } from "../../platform/postgres/Pipeline.ts"
import type { ServerNotice } from "../../platform/postgres/ServerNotice.ts"

/** Queries that belong together. Each index is a place among them, from 0. */
export interface QueryGroup<E> {
  readonly queries: ReadonlyArray<SentQuery>
  /** Reads the answers, where none of its queries failed. */
  readonly read?: (answers: ReadonlyArray<QueryResult>) => Effect.Effect<void, E>
  readonly failed: (failure: QueryFailed) => Effect.Effect<never, E>
  /** What a line of progress says while a query runs; without one, none is shown and the session's deadline holds. */
  readonly running?: (index: number) => Running
  readonly noticed?: (notice: ServerNotice, index: number) => void
}

/** Queries of a step that are gathered, and sent in one round trip. */
export interface StepQueries<E> {
  readonly add: (group: QueryGroup<E>) => void
  /** Sends what was added since the last time, and reads the answers group by group, up to the first failure. */
  readonly send: Effect.Effect<void, E>
}

/** Makes an empty StepQueries. `before` is sent ahead of the first queries, outside their pipeline. */
export const makeStepQueries = <E>(connection: Connection, before?: string): StepQueries<E> => {
  let gathered: Array<QueryGroup<E>> = []
  let ahead = before === undefined ? {} : { before }
  const send = Effect.suspend((): Effect.Effect<void, E> => {
    const groups = gathered
    gathered = []
    const all = groups.flatMap((group) => group.queries.map((query, index) => ({ group, index, query })))
    const options = {
      ...ahead,
      noticed: (notice: ServerNotice, at: number) => all[at]?.group.noticed?.(notice, all[at].index)
    }
    ahead = {}
    const runningAt = (at: number) => all[at]?.group.running?.(all[at].index)
    const first = all.findIndex(({ group }) => group.running !== undefined)
    let running = runningAt(first)
    const queries = all.map(({ query }) => query)
    const answers =
      running === undefined
        ? connection.send(queries, options)
        : withProgressOf(
            () => running ?? { what: "", since: 0 },
            connection.send(queries, {
              ...options,
              // Only its author's `statement_timeout` limits a statement.
              deadline: null,
              answered: (count) => {
                running = runningAt(count) ?? running
              }
            })
          )
    const readUpTo = (end: number, found: ReadonlyArray<QueryResult>) => {
      let start = 0
      return Effect.forEach(
        groups.slice(0, end),
        ({ queries, read }) => {
          const own = found.slice(start, start + queries.length)
          start += queries.length
          return read?.(own) ?? Effect.void
        },
        { discard: true }
      )
    }
    return Effect.matchEffect(answers, {
      onSuccess: (found) => readUpTo(groups.length, found),
      onFailure: ({ answers, cause, index }) => {
        const { group, index: own } = all[Math.max(index, 0)] ?? all[all.length - 1] ?? {}
        if (group === undefined || own === undefined) return Effect.dieMessage("a query that was not sent failed")
        const failed = group.failed({
          cause,
          index: Math.min(index, own),
          answers: answers.slice(Math.max(index, 0) - own)
        })
        return Effect.zipRight(readUpTo(groups.indexOf(group), answers), failed)
      }
    })
  })
  return { add: (group) => void gathered.push(group), send }
}
