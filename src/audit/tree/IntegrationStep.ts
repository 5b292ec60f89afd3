import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { runInSteps } from "../../platform/os/EventLoop.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { checkState, type Integrated, integrating, type QueuedRun, type TreeState } from "./Integration.ts"

/** Entries and queue rows of one step, so that a step takes a fraction of a second even when millions of rows wait. */
const entriesInStep = 16_384
const rowsInStep = 1_024

/**
 * Begins a step. A process that stops in its transaction keeps the lock for 5 seconds at most; writers never wait for it. The flush
 * of its COMMIT covers the transactions whose rows it saw, also where the server's default is asynchronous.
 */
const beginStep =
  "begin; set local statement_timeout = '10s'; set local idle_in_transaction_session_timeout = '5s'; " +
  "set local synchronous_commit = on"

/** Keeps other integrators from waiting. It is not what keeps the tree whole: the lock on the row of `audit_tree` is. */
const tryLockStatement =
  "select pg_try_advisory_xact_lock(hashtextextended('gatekeeper.audit_tree', 0)) as \"isLocked\""

const stateStatement = "select size, root, edge, partial from gatekeeper.audit_tree for update"

const queueStatement = `
  select no, source, first_seq as "firstSeq", n, entries from (
    select *, sum(n) over (order by no) - n as before
    from (select * from gatekeeper.audit_intake order by no limit ${rowsInStep}) as oldest
  ) as counted
  where before < ${entriesInStep}
  order by no`

/** Runs of a source do not overlap, so one run before the first number, and those that begin within, are all that can. */
const overlapStatement = `
  select distinct run.source, run.first_seq as "firstSeq", run.n
  from json_to_recordset($1) as queued (source uuid, first_seq bigint, n integer)
  cross join lateral (
    (
      select * from gatekeeper.audit_run as before
      where before.source = queued.source and before.first_seq <= queued.first_seq
      order by before.first_seq desc
      limit 1
    ) union all
    select * from gatekeeper.audit_run as within
    where within.source = queued.source
      and within.first_seq > queued.first_seq and within.first_seq < queued.first_seq + queued.n
  ) as run`

const bundlesStatement = `
  insert into gatekeeper.audit_bundle (index, entries, root)
  select * from unnest($1::bigint[], $2::bytea[], $3::bytea[])`

const subtreesStatement = `
  insert into gatekeeper.audit_subtree (level, index, root)
  select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])`

const runsStatement = `
  insert into gatekeeper.audit_run (source, first_seq, n, first_index)
  select * from unnest($1::uuid[], $2::bigint[], $3::integer[], $4::bigint[])`

/** The fence: a state that another integrator has moved on is not found. */
const advanceStatement = `
  update gatekeeper.audit_tree
  set size = $2, root = $3, edge = $4, partial = $5, integrated_at = clock_timestamp()
  where size = $1`

const Locked = Schema.Tuple(Schema.Struct({ isLocked: Schema.Boolean }))

const State = Schema.Tuple(
  Schema.Struct({
    size: Schema.NumberFromString,
    root: Schema.Uint8ArrayFromSelf,
    edge: Schema.Uint8ArrayFromSelf,
    partial: Schema.Uint8ArrayFromSelf
  })
)

const run = { source: Schema.String, firstSeq: Schema.NumberFromString, n: Schema.Number }
const Runs = Schema.Array(Schema.Struct(run))
const Queue = Schema.Array(Schema.Struct({ ...run, no: Schema.String, entries: Schema.Uint8ArrayFromSelf }))

/**
 * - `busy`: another integrator works.
 * - `idle`: the queue is empty.
 * - `integrated`: `queued` rows of the queue were integrated; where `isLast`, it was empty then.
 */
export type StepOutcome =
  | { readonly _tag: "busy" | "idle" }
  | { readonly _tag: "integrated"; readonly size: number; readonly queued: number; readonly isLast: boolean }

const write = Effect.fnUntraced(function* (
  connection: Connection,
  before: TreeState,
  queue: ReadonlyArray<QueuedRun>,
  { bundles, runs, state, subtrees }: Integrated
) {
  if (bundles.length > 0) {
    yield* connection.query(bundlesStatement, [
      bundles.map(({ index }) => index),
      bundles.map(({ entries }) => entries),
      bundles.map(({ root }) => root)
    ])
  }
  if (subtrees.length > 0) {
    yield* connection.query(subtreesStatement, [
      subtrees.map(({ level }) => level),
      subtrees.map(({ index }) => index),
      subtrees.map(({ root }) => root)
    ])
  }
  if (runs.length > 0) {
    yield* connection.query(runsStatement, [
      runs.map(({ source }) => source),
      runs.map(({ firstSeq }) => firstSeq),
      runs.map(({ n }) => n),
      runs.map(({ firstIndex }) => firstIndex)
    ])
  }
  const { edge, partial, root, size } = state
  const advanced = yield* connection.query(advanceStatement, [before.size, size, root, edge, partial])
  if (advanced.rowCount !== 1) {
    return yield* new DatabaseError({
      phase: "statement",
      sqlstate: "40001",
      reason: `the tree is no longer of size ${before.size}: another integrator moved it on; the step is tried again`
    })
  }
  yield* connection.query("delete from gatekeeper.audit_intake where no = any($1)", [queue.map(({ no }) => no)])
  yield* connection.query("select pg_notify('gravitas_tree', $1)", [String(size)])
})

/** Damage to the state stops the tree, and nothing else. */
const soundState = (state: TreeState): Effect.Effect<void, DatabaseError> =>
  Effect.try({
    try: () => checkState(state),
    catch: (cause) =>
      new DatabaseError({
        phase: "statement",
        sqlstate: "XX001",
        reason: `the tree of the audit trail is damaged: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

/**
 * Moves the oldest entries of the queue into the tree, in one transaction. Before its COMMIT nothing has changed; a step that is cut off is
 * repeated by the next one, here or in another gatekeeper.
 */
export const integrateStep = (connection: Connection): Effect.Effect<StepOutcome, DatabaseError> =>
  Effect.gen(function* () {
    yield* connection.query(beginStep)
    const [{ isLocked }] = yield* queryRows(connection, Locked, tryLockStatement)
    if (!isLocked) return { _tag: "busy" as const }
    const [before] = yield* queryRows(connection, State, stateStatement)
    yield* soundState(before)
    const queue = yield* queryRows(connection, Queue, queueStatement)
    if (queue.length === 0) return { _tag: "idle" as const }
    const queued = JSON.stringify(queue.map(({ firstSeq, n, source }) => ({ source, first_seq: firstSeq, n })))
    const known = yield* queryRows(connection, Runs, overlapStatement, [queued])
    const integrated = yield* runInSteps(() => integrating(before, queue, known))
    yield* write(connection, before, queue, integrated)
    const entries = queue.reduce((sum, { n }) => sum + n, 0)
    const isLast = queue.length < rowsInStep && entries < entriesInStep
    return { _tag: "integrated" as const, size: integrated.state.size, queued: queue.length, isLast }
  }).pipe((body) => connection.transaction(body, { begun: true }))
