import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { DeadLetters } from "../../src/audit/dead-letters/DeadLetters.ts"
import type { HashedRow } from "../../src/audit/encoding/AuditRow.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { rowsOf } from "./AuditEvents.ts"
import { gatekeeperDatabase, query } from "./Trail.ts"

export const why = { sqlstate: "23514", reason: "a check", attempts: 3 }
export const all = { all: true, by: "Ada" } as const

export const openLetters = (url: Redacted.Redacted, deadline = "10 seconds" as const) =>
  Effect.map(Layer.build(DeadLetters.layerUrl({ url, deadline })), (context) => Context.get(context, DeadLetters))

/** A trail with `number` dead letters of one source. */
export const withLetters = (number: number) =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(number)
    for (const row of rows) yield* store.deadLetter(row, why)
    return { url, store, rows, source: rows[0]?.source ?? "", letters: yield* openLetters(url) }
  })

export const idsOf = (rows: ReadonlyArray<HashedRow>): ReadonlyArray<string> => rows.map(({ id }) => id)

export const countsOf = (url: Redacted.Redacted, source: string) =>
  Effect.map(
    query(
      url,
      `select last_seq::integer as last, committed::integer, dead_lettered::integer as letters, replayed::integer
       from gatekeeper.audit_source where source = $1`,
      [source]
    ),
    ([row]) => row
  )

export const told = (url: Redacted.Redacted) =>
  query(
    url,
    `select metadata ->> 'audit_id' as id, metadata ->> 'outcome' as outcome, resource, ghost_id
     from gatekeeper.audit_log where result = 'REPLAYED' order by id`
  )
