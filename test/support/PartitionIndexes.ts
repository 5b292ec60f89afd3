import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { query } from "./Rows.ts"

/** The partitions of the trail, oldest first, each with its index below an index of the trail; null where it has none. */
export const partitionIndexes = (url: Redacted.Redacted, index: string) =>
  query(
    url,
    `select child.inhrelid::regclass::text as partition, index.indexrelid::integer as index, index.indisvalid as valid
     from pg_inherits as child
     left join (
       pg_index as index join pg_inherits as under on under.inhrelid = index.indexrelid
         and under.inhparent = to_regclass('gatekeeper.' || $1)
     ) on index.indrelid = child.inhrelid
     where child.inhparent = 'gatekeeper.audit_log'::regclass order by 1`,
    [index]
  )

/** The partitions of the trail, oldest first. */
export const partitionsOf = (url: Redacted.Redacted) =>
  Effect.map(
    query(
      url,
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'gatekeeper.audit_log'::regclass order by 1"
    ),
    (rows) => rows.map(({ name }) => String(name))
  )
