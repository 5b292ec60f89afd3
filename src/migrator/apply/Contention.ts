import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import { connect } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { MigratorOptionsValues } from "../MigratorOptions.ts"
import { describeSession } from "./SchemaLock.ts"

/** True for 55P03 (lock_timeout passed) and 40P01 (deadlock): a retry after a pause may succeed. */
export const isContention = ({ sqlstate }: Pick<DatabaseError, "sqlstate">): boolean =>
  sqlstate === "55P03" || sqlstate === "40P01"

/** The pause after failed attempt `attempt` (from 1): `firstPause`, doubled with each attempt, times 0.5 to 1.5. */
export const pauseAfter = (attempt: number, { firstPause }: MigratorOptionsValues): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.nextRange(0.5, 1.5), (jitter) => Duration.times(firstPause, 2 ** (attempt - 1) * jitter))

const blockersQuery = `select a.pid, a.application_name, a.backend_start as since
  from unnest(pg_catalog.pg_blocking_pids($1)) as blocking (pid)
  left join pg_catalog.pg_stat_activity a on a.pid = blocking.pid where a.pid is not null`

/**
 * Runs `effect` and, every `after`, asks from a second session which sessions block the backend `pid`. The server forgets them
 * once the lock timeout has passed. `seen` keeps the last answer; a failure to ask is ignored.
 */
export const withBlockersWatched = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: {
    readonly url: Redacted.Redacted
    readonly pid: number
    readonly after: Duration.Duration
    readonly seen: Ref.Ref<ReadonlyArray<string>>
  }
): Effect.Effect<A, E, R> => {
  const watch = connect({ url: options.url, applicationName: "gravitas migrate (looks who blocks)" }).pipe(
    Effect.flatMap((connection) => connection.query(blockersQuery, [options.pid])),
    Effect.flatMap(({ rows }) => (rows.length === 0 ? Effect.void : Ref.set(options.seen, rows.map(describeSession)))),
    Effect.scoped,
    Effect.ignore,
    Effect.delay(options.after),
    Effect.forever
  )
  return Effect.scoped(Effect.zipRight(Effect.forkScoped(watch), effect))
}
