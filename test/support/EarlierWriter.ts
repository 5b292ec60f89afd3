import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { columnDefinitions, columnList, type HashedRow } from "../../src/audit/encoding/AuditRow.ts"
import { jsonBatch } from "../../src/audit/store/AuditWrites.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"

const insertStatement = `
  insert into gatekeeper.audit_log (${columnList})
  select ${columnList} from json_to_recordset($1) as batch (${columnDefinitions})`

const advanceStatement = `
  insert into gatekeeper.audit_source as known (source, last_seq, committed) values ($1, $2, $3)
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), committed = known.committed + excluded.committed`

/** Writes rows as a program of before the tree does: the present one needs the schema at head. */
export const earlierWriter = (url: Redacted.Redacted) =>
  Effect.map(
    connect({ url, applicationName: "gravitas earlier writer" }),
    (connection) => (rows: ReadonlyArray<HashedRow>) =>
      connection.transaction(
        Effect.gen(function* () {
          yield* connection.query(insertStatement, [jsonBatch(rows)])
          const last = rows.at(-1)
          if (last !== undefined) yield* connection.query(advanceStatement, [last.source, last.seq, rows.length])
        })
      )
  )
