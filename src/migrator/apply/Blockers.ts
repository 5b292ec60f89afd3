import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import { connect } from "../../platform/postgres/Connection.ts"
import { describeSession } from "./SchemaLock.ts"

const query = `select a.pid, a.application_name, a.backend_start as since
  from unnest(pg_catalog.pg_blocking_pids($1)) as blocking (pid)
  left join pg_catalog.pg_stat_activity a on a.pid = blocking.pid where a.pid is not null`

/**
 * Runs `effect` and, while it waits, looks from a second session at who blocks the backend `pid`: once it has failed with a
 * lock timeout the server no longer knows. `seen` keeps the last answer; not being able to look is no error.
 */
export const watched = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: {
    readonly url: Redacted.Redacted
    readonly pid: number
    readonly after: Duration.Duration
    readonly seen: Ref.Ref<ReadonlyArray<string>>
  }
): Effect.Effect<A, E, R> => {
  const look = connect({ url: options.url, applicationName: "gravitas migrate (looks who blocks)" }).pipe(
    Effect.flatMap((connection) => connection.query(query, [options.pid])),
    Effect.flatMap(({ rows }) => (rows.length === 0 ? Effect.void : Ref.set(options.seen, rows.map(describeSession)))),
    Effect.scoped,
    Effect.ignore,
    Effect.delay(options.after),
    Effect.forever
  )
  return Effect.scoped(Effect.zipRight(Effect.forkScoped(look), effect))
}
