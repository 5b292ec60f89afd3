import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { describe } from "../store/RetryClass.ts"
import { integrateStep } from "./IntegrationStep.ts"
import { beforeAllIds, hasUnqueuedRows, queuePage } from "./UnqueuedRows.ts"

/** The state of the tree, as this process saw it last. */
export interface TreeStatus {
  /** Leaves; -1 before the first look. */
  readonly size: number
  /** Queued entries; of the oldest thousand rows of the queue, where it has more. */
  readonly lagRows: number
  /** Age of the oldest of them. */
  readonly lagSeconds: number
  /** Why the last step failed; null after one that did not, or where nothing waits. */
  readonly problem: string | null
}

export interface TreeIntegratorOptions {
  readonly url: Redacted.Redacted
  /** Between looks at an empty queue. */
  readonly pause?: Duration.DurationInput
  /** Between searches for rows that were never queued. */
  readonly searchEvery?: Duration.DurationInput
}

/** How often the lag is read. */
const lookEvery = Duration.seconds(1)

/** Of the oldest rows only: a look costs the same however many wait. */
const lagStatement = `
  select (select size from gatekeeper.audit_tree) as size, coalesce(sum(n), 0)::bigint as "lagRows",
    greatest(coalesce(extract(epoch from clock_timestamp() - min(at)), 0), 0)::float8 as "lagSeconds"
  from (select n, at from gatekeeper.audit_intake order by no limit 1000) as oldest`

const Lag = Schema.Tuple(
  Schema.Struct({
    size: Schema.NumberFromString,
    lagRows: Schema.NumberFromString,
    lagSeconds: Schema.Number
  })
)

const isQueuedStatement = 'select exists (select from gatekeeper.audit_intake) as "isQueued"'
const IsQueued = Schema.Tuple(Schema.Struct({ isQueued: Schema.Boolean }))

const treeSize = Metric.gauge("audit_tree_size", { description: "Leaves of the tree of the audit trail" })
const treeLagRows = Metric.gauge("audit_tree_lag_rows", {
  description: "Rows that wait to be integrated into the tree, of the oldest thousand transactions where more wait"
})
const treeLagSeconds = Metric.gauge("audit_tree_lag_seconds", { description: "Age of the oldest of them" })

/** After a failure: soon, then less often; soon again after a minute without one. Each gatekeeper waits for another time. */
const retries = Schedule.jittered(
  Schedule.union(Schedule.exponential("500 millis"), Schedule.spaced("15 seconds"))
).pipe(Schedule.resetAfter("1 minute"))

/** Between searches that found nothing although the counters say that rows are missing: these rows may have been removed. */
const fruitlessSearchEvery = Duration.toMillis("1 hour")

/**
 * One session's work: steps while entries wait, the lag each second, and the search for rows that were never queued. It searches only
 * while nothing else waits, so that the queue stays short.
 */
const makeRound = (options: TreeIntegratorOptions, keep: (seen: Partial<TreeStatus>) => Effect.Effect<void>) => {
  const pause = Duration.decode(options.pause ?? "200 millis")
  const searchEvery = Duration.toMillis(options.searchEvery ?? "5 minutes")
  let nextLook = 0
  let nextSearch = 0
  /** The last id that the search in progress has seen. */
  let searchedTo: string | undefined
  let found = 0

  const look = Effect.fnUntraced(function* (connection: Connection, now: number) {
    if (now < nextLook) return
    nextLook = now + Duration.toMillis(lookEvery)
    const [lag] = yield* queryRows(connection, Lag, lagStatement)
    yield* keep(lag)
  })

  const search = Effect.fnUntraced(function* (connection: Connection, now: number) {
    if (searchedTo === undefined) {
      if (now < nextSearch) return
      nextSearch = now + searchEvery
      if (!(yield* hasUnqueuedRows(connection))) return
      searchedTo = beforeAllIds
      found = 0
    }
    const { last, queued } = yield* queuePage(connection, searchedTo)
    found += queued
    searchedTo = last
    if (last !== undefined || found > 0) return
    // Another gatekeeper may have found them meanwhile.
    if (!(yield* hasUnqueuedRows(connection))) return
    nextSearch = now + Math.max(searchEvery, fruitlessSearchEvery)
    yield* Effect.logWarning(
      "The counters of the audit trail say that rows are not in its tree, and none was found: rows may have been removed. " +
        "`trail status` compares the counters with the rows."
    )
  })

  return Effect.fnUntraced(function* (connection: Connection) {
    const now = yield* Clock.currentTimeMillis
    const [{ isQueued }] = yield* queryRows(connection, IsQueued, isQueuedStatement)
    const outcome = isQueued ? yield* integrateStep(connection) : { _tag: "idle" as const }
    yield* keep({ problem: null })
    yield* look(connection, now)
    if (outcome._tag === "busy") return yield* Effect.sleep("1 second")
    if (outcome._tag === "integrated" && !outcome.isLast) return
    yield* search(connection, now)
    // Also after a step that emptied the queue: steps of a few entries each would cost a COMMIT and a run each.
    yield* Effect.sleep(pause)
  })
}

const make = Effect.fnUntraced(function* (options: TreeIntegratorOptions) {
  let status: TreeStatus = { size: -1, lagRows: 0, lagSeconds: 0, problem: null }
  const keep = (seen: Partial<TreeStatus>) =>
    Effect.suspend(() => {
      status = { ...status, ...seen }
      const { lagRows, lagSeconds, size } = status
      return Effect.all(
        [Metric.set(treeSize, size), Metric.set(treeLagRows, lagRows), Metric.set(treeLagSeconds, lagSeconds)],
        { discard: true }
      )
    })
  const round = makeRound(options, keep)
  const report = (cause: Cause.Cause<DatabaseError>) => {
    const failure = Cause.squash(cause)
    const problem = failure instanceof DatabaseError ? describe(failure) : String(failure)
    const isNew = status.problem !== problem
    return Effect.zipRight(
      keep({ problem }),
      isNew ? Effect.logError(`The tree of the audit trail is not extended: ${problem}. Trying again.`) : Effect.void
    )
  }
  const session = connect({ url: options.url, applicationName: "gravitas audit tree", deadline: "15 seconds" }).pipe(
    // A stop waits for no answer: a step that is cut off has changed nothing, and the server may be away.
    Effect.flatMap((connection) =>
      Effect.forever(round(connection)).pipe(
        Effect.disconnect,
        Effect.onInterrupt(() => connection.destroy)
      )
    ),
    Effect.scoped,
    // A defect is tried again as well: it must not stop the tree until the next start.
    Effect.sandbox,
    Effect.tapError(report),
    Effect.retry(retries)
  )
  yield* Effect.forkScoped(Effect.orDie(session))
  return TreeIntegrator.of({ status: Effect.sync(() => status) })
})

/**
 * Extends the tree of the audit trail. Each gatekeeper has one; of several on one database, one works and the others look whether its
 * place is free. No writer and no request waits for it.
 */
export class TreeIntegrator extends Context.Tag("audit/tree/TreeIntegrator")<
  TreeIntegrator,
  { readonly status: Effect.Effect<TreeStatus> }
>() {
  static readonly layerUrl = (options: TreeIntegratorOptions): Layer.Layer<TreeIntegrator> =>
    Layer.scoped(TreeIntegrator, make(options))

  /** Works in the gatekeeper's database, with the role of the application. */
  static readonly layer: Layer.Layer<TreeIntegrator, never, Database> = Layer.unwrapEffect(
    Effect.map(Database, (database) => TreeIntegrator.layerUrl({ url: database.url("gatekeeper", "application") }))
  )
}
