import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../platform/Connection.ts"
import { AuditId } from "./AuditId.ts"
import type { Incarnation, Located, SignOff } from "./AuditStore.ts"
import { boundStatement } from "./AuditWrites.ts"

const registerStatement = `
  insert into gatekeeper.audit_source as known (source, host, pid, started_at)
  values ($1, $2, $3, $4)
  on conflict (source) do update set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at`

/** Makes the row if nothing was ever written: an incarnation that only took events has an end, too. */
const signOffStatement = `
  insert into gatekeeper.audit_source as known
    (source, host, pid, started_at, signed_off_seq, signed_off_at, shed, refused, unwritten, in_doubt)
  values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, $9)
  on conflict (source) do update
  set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at,
    signed_off_seq = excluded.signed_off_seq,
    signed_off_at = coalesce(known.signed_off_at, excluded.signed_off_at),
    shed = excluded.shed, refused = excluded.refused, unwritten = excluded.unwritten, in_doubt = excluded.in_doubt`

/** Waits for each transaction of the source that got as far as its COMMIT: it holds this row until it ends. */
const awaitWritersStatement = `
  insert into gatekeeper.audit_source as known (source) values ($1)
  on conflict (source) do update set last_seq = known.last_seq`

const locateStatement = `
  select id, true as recorded from gatekeeper.audit_log where source = $1 and id = any($2)
  union all
  select event_id, false from gatekeeper.audit_dead_letter where source = $1 and event_id = any($2)`

const decodeLocated = Schema.decodeUnknown(Schema.Array(Schema.Struct({ id: AuditId, recorded: Schema.Boolean })))

const identity = ({ host, pid, source, startedAt }: Incarnation) => [source, host, pid, new Date(startedAt)]

/** What a process says of itself in `audit_source`, and asks about its own rows. */
export const incarnationStatements = (connection: Connection, statementTimeout: number) => {
  const bounded = <A, E>(body: Effect.Effect<A, E>) =>
    connection.transaction(Effect.zipRight(connection.query(boundStatement(statementTimeout)), body))

  return {
    register: (incarnation: Incarnation) => bounded(connection.query(registerStatement, identity(incarnation))),
    signOff: (incarnation: Incarnation, { inDoubt, lastSeq, refused, shed, unwritten }: SignOff) =>
      bounded(
        connection.query(signOffStatement, [...identity(incarnation), lastSeq, shed, refused, unwritten, inDoubt])
      ),
    /** In read committed mode, so that the second statement sees what the first one waited for. */
    locate: ({ source }: Incarnation, ids: ReadonlyArray<AuditId>) =>
      bounded(
        Effect.zipRight(
          connection.query(awaitWritersStatement, [source]),
          connection.query(locateStatement, [source, ids])
        )
      ).pipe(
        Effect.flatMap(({ rows }) => Effect.orDie(decodeLocated(rows))),
        Effect.map(
          (rows): Located => ({
            committed: new Set(rows.flatMap((row) => (row.recorded ? [row.id] : []))),
            deadLettered: new Set(rows.flatMap((row) => (row.recorded ? [] : [row.id])))
          })
        )
      )
  }
}
