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
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { describe } from "../store/RetryClass.ts"
import { integrateStep } from "./IntegrationStep.ts"
import { beforeAllIds, hasUnqueuedRows, queuePage } from "./UnqueuedRows.ts"

/** The state of the tree, as this process saw it last. */
export interface TreeStatus {
  /** Leaves; -1 before the first look. */
  readonly size: number
  /** Queued entries. */
  readonly lagRows: number
  /** Age of the oldest of them. */
  readonly lagSeconds: number
  /** Why the last step failed; null after a step that did not. */
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

const lagStatement = `
  select (select size from gatekeeper.audit_tree) as size, coalesce(sum(n), 0)::bigint as "lagRows",
    greatest(coalesce(extract(epoch from clock_timestamp() - min(at)), 0), 0)::float8 as "lagSeconds"
  from gatekeeper.audit_intake`

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
  description: "Rows that wait to be integrated into the tree"
})
const treeLagSeconds = Metric.gauge("audit_tree_lag_seconds", { description: "Age of the oldest of them" })

/** After a failure: soon, then less often. Each gatekeeper waits for another time. */
const retries = Schedule.jittered(Schedule.union(Schedule.exponential("500 millis"), Schedule.spaced("15 seconds")))

/** One session's work: steps while entries wait, the lag each second, and the search for rows that were never queued. */
const makeRound = (options: TreeIntegratorOptions, keep: (status: TreeStatus) => Effect.Effect<void>) => {
  const pause = Duration.decode(options.pause ?? "200 millis")
  const searchEvery = Duration.toMillis(options.searchEvery ?? "5 minutes")
  let nextLook = 0
  let nextSearch = 0
  /** The last id that the search in progress has seen. */
  let searchedTo: string | undefined

  const look = Effect.fnUntraced(function* (connection: Connection, now: number) {
    if (now < nextLook) return
    nextLook = now + Duration.toMillis(lookEvery)
    const [lag] = yield* queryRows(connection, Lag, lagStatement)
    yield* keep({ ...lag, problem: null })
  })

  const search = Effect.fnUntraced(function* (connection: Connection, now: number) {
    if (searchedTo === undefined) {
      if (now < nextSearch) return
      nextSearch = now + searchEvery
      if (!(yield* hasUnqueuedRows(connection))) return
      searchedTo = beforeAllIds
    }
    searchedTo = yield* queuePage(connection, searchedTo)
  })

  return Effect.fnUntraced(function* (connection: Connection) {
    const now = yield* Clock.currentTimeMillis
    yield* look(connection, now)
    yield* search(connection, now)
    const [{ isQueued }] = yield* queryRows(connection, IsQueued, isQueuedStatement)
    const outcome = isQueued ? (yield* integrateStep(connection))._tag : "idle"
    if (outcome === "busy") yield* Effect.sleep("1 second")
    else if (outcome === "idle" && searchedTo === undefined) yield* Effect.sleep(pause)
  })
}

const make = Effect.fnUntraced(function* (options: TreeIntegratorOptions) {
  let status: TreeStatus = { size: -1, lagRows: 0, lagSeconds: 0, problem: null }
  const keep = (seen: TreeStatus) =>
    Effect.all(
      [
        Effect.sync(() => {
          status = seen
        }),
        Metric.set(treeSize, seen.size),
        Metric.set(treeLagRows, seen.lagRows),
        Metric.set(treeLagSeconds, seen.lagSeconds)
      ],
      { discard: true }
    )
  const round = makeRound(options, keep)
  const report = (error: DatabaseError) => {
    const problem = describe(error)
    const isNew = status.problem !== problem
    return Effect.zipRight(
      keep({ ...status, problem }),
      isNew ? Effect.logWarning(`The tree of the audit trail is not extended: ${problem}. Trying again.`) : Effect.void
    )
  }
  const session = connect({ url: options.url, applicationName: "gravitas audit tree", deadline: "15 seconds" }).pipe(
    Effect.flatMap((connection) => Effect.forever(round(connection))),
    Effect.scoped,
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
