import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { mayActFor } from "../../domain/Service.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type AuditId, millisOf } from "../encoding/AuditId.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { rowProblem, sourceOfReceipt, withdrawnBy } from "../encoding/RowRules.ts"
import type { AuditStore, Incarnation, Refused, Rejection } from "../store/AuditStore.ts"
import { refusedRow, undecidedRow } from "../store/AuditStore.ts"
import type { AuditLedger } from "./AuditLedger.ts"

/** Only the source of an incarnation is known where its rows come from outside. */
const incarnationOf = (source: string): Incarnation => ({
  source,
  host: "",
  pid: 0,
  startedAt: 0,
  bootId: "",
  durability: ""
})

interface Parts {
  readonly store: typeof AuditStore.Service
  readonly ledger: typeof AuditLedger.Service
  readonly identity: string
}

/** The owner of a source; undefined where the database does not know the source. */
const ownerOf = (ledger: typeof AuditLedger.Service, source: string) =>
  ledger.source(source).pipe(
    Effect.mapBoth({
      onFailure: ({ reason }) => new DatabaseError({ phase: "connect", reason }),
      onSuccess: (known) => known?.identity
    })
  )

/** Why a receipt of a source that belongs to another identity does not count; undefined where it counts. */
const receiptProblem = Effect.fnUntraced(function* ({ identity, ledger }: Parts, row: HashedRow) {
  const about = sourceOfReceipt(row)
  if (about === undefined || about === row.source) return undefined
  const owner = yield* ownerOf(ledger, about)
  return owner != null && mayActFor(identity, owner)
    ? undefined
    : `it reports a loss of the source ${about}, which is not of ${identity}`
})

/**
 * How long, in milliseconds, an event may come later than its withdrawal: its writer may have parked it, while neither the table nor the
 * dead letters accepted it.
 */
const lateness = 5 * 60_000

/** The refused rows among those that an identity sent for one source it owns, each with the reason. Fails while a withdrawn event may still come. */
const refusedOf = Effect.fnUntraced(function* (parts: Parts, rows: ReadonlyArray<HashedRow>) {
  const now = yield* Clock.currentTimeMillis
  const refused = new Map<AuditId, string>()
  const withdrawals = new Map<AuditId, AuditId>()
  for (const row of rows) {
    const problem = rowProblem(parts.identity, row, now) ?? (yield* receiptProblem(parts, row))
    if (problem !== undefined) refused.set(row.id, problem)
    else if (row.result === "WITHDRAWN") {
      const event = withdrawnBy(row)
      if (event !== undefined && !rows.some(({ id }) => id === event)) withdrawals.set(row.id, event)
    }
  }
  const source = rows[0]?.source
  if (source === undefined || withdrawals.size === 0) return refused
  const own = yield* parts.store.locate(incarnationOf(source), [...withdrawals.values()])
  for (const [id, event] of withdrawals) {
    if (own.committed.has(event) || own.deadLettered.has(event)) continue
    if (Math.abs(now - millisOf(event)) < lateness) {
      const reason = `the event ${id} withdraws the event ${event}, which its source has not sent yet`
      return yield* new DatabaseError({ phase: "statement", sqlstate: undecidedRow, reason })
    }
    refused.set(id, `it withdraws the event ${event}, which is not of its source`)
  }
  return refused
})

/**
 * A store that accepts from `identity` only what the recorder of that service could have made, so that no other process can record
 * a decision, a receipt or a withdrawal of another. A row that is refused becomes a dead letter, which no replay brings into the
 * trail. The other rows of its batch are written.
 */
export const admitting = (parts: Parts): Pick<typeof AuditStore.Service, "append" | "deadLetter"> => {
  const { store } = parts
  const refuse = (row: HashedRow, reason: string) =>
    store.deadLetter(row, { sqlstate: refusedRow, reason: `the gatekeeper refused it: ${reason}`, attempts: 1 })
  return {
    append: Effect.fnUntraced(function* (rows, options) {
      const problems = yield* refusedOf(parts, rows)
      const refused: Array<Refused> = []
      for (const row of rows) {
        const reason = problems.get(row.id)
        if (reason === undefined) continue
        yield* refuse(row, reason)
        refused.push({ id: row.id, reason })
      }
      const admitted = rows.filter(({ id }) => !problems.has(id))
      const { conflicts } = admitted.length === 0 ? { conflicts: [] } : yield* store.append(admitted, options)
      return refused.length === 0 ? { conflicts } : { conflicts, refused }
    }),
    deadLetter: Effect.fnUntraced(function* (row, why) {
      const reason = (yield* refusedOf(parts, [row])).get(row.id)
      yield* reason === undefined ? store.deadLetter(row, why) : refuse(row, reason)
    })
  }
}

/**
 * The gatekeeper's own store. Its process also writes what others left in its home: rows of a source that belongs to a service are
 * checked as if that service had sent them.
 */
export const byOwner = (store: typeof AuditStore.Service, ledger: typeof AuditLedger.Service) => {
  const owners = new Map<string, string | null>()
  const storeFor = Effect.fnUntraced(function* (source: string) {
    const cached = owners.get(source)
    const owner = cached === undefined ? yield* ownerOf(ledger, source) : cached
    // Owners never change; a source without a row has none yet.
    if (owner !== undefined) owners.set(source, owner)
    return owner == null ? store : admitting({ store, ledger, identity: owner })
  })
  return {
    ...store,
    append: (rows: ReadonlyArray<HashedRow>, options: { readonly certain: boolean }) =>
      Effect.flatMap(storeFor(rows[0]?.source ?? ""), ({ append }) => append(rows, options)),
    deadLetter: (row: HashedRow, why: Rejection) =>
      Effect.flatMap(storeFor(row.source), ({ deadLetter }) => deadLetter(row, why))
  }
}
