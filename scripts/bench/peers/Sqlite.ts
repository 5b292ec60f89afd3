import type Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"

export interface SqliteTable {
  readonly insert: (event: AuditEvent) => void
  readonly count: () => number
}

export type Sqlite = (file: string) => Effect.Effect<SqliteTable, never, Scope.Scope>

const howToBuild =
  "it has no native build here; make one with `npm --prefix node_modules/better-sqlite3 run install` " +
  "(without a network: `--nodedir=<prefix of node>` behind it, for node's headers)"

const create = `create table event (
  id integer primary key, at text not null, ghost_id text, shell_id text, action text not null, resource text not null,
  result text not null, reason text, request_id text, metadata text not null)`

const insert = `insert into event (at, ghost_id, shell_id, action, resource, result, reason, request_id, metadata)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** WAL, and `synchronous` as its manual advises for it: as in mode `journal`, a commit survives the process and is synced later. */
const openWith =
  (make: (file: string) => Database.Database): Sqlite =>
  (file) =>
    Effect.acquireRelease(
      Effect.sync(() => make(file)),
      (database) => Effect.sync(() => database.close())
    ).pipe(
      Effect.map((database) => {
        database.pragma("journal_mode = WAL")
        database.pragma("synchronous = NORMAL")
        database.exec(create)
        const statement = database.prepare(insert)
        const counting = database.prepare<[], number>("select count(*) from event").pluck()
        return {
          insert: (event) => {
            statement.run(
              new Date().toISOString(),
              event.ghostId,
              event.shellId,
              event.action,
              event.resource,
              event.result,
              event.reason,
              event.requestId,
              JSON.stringify(event.metadata)
            )
          },
          count: () => counting.get() ?? 0
        }
      })
    )

/** better-sqlite3, or the reason why it cannot be used. An install does not build it: that takes a compiler and minutes. */
export const openSqlite: Effect.Effect<{ readonly open?: Sqlite; readonly reason?: string }> = Effect.tryPromise(
  async () => {
    const { default: Sqlite } = await import("better-sqlite3")
    new Sqlite(":memory:").close()
    return { open: openWith((file) => new Sqlite(file)) }
  }
).pipe(Effect.orElseSucceed(() => ({ reason: howToBuild })))
