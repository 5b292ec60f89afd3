import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import type { AuditLogOptions } from "../../src/audit/AuditSettings.ts"
import { AuditLedger } from "../../src/audit/sources/AuditLedger.ts"
import { AuditStore } from "../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { TrailUnreachable } from "../../src/audit/store/TrailUnreachable.ts"
import type { AuditStatus } from "../../src/contracts/AuditStatus.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import type { Row } from "../../src/platform/postgres/Connection.ts"
import { eventually } from "../support/Eventually.ts"
import { query } from "../support/Rows.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"
import { anEvent } from "./AuditEvents.ts"

export { query }

/** A database of one's own with the gatekeeper's schema. */
export const gatekeeperDatabase = migratedDatabase

/** In memory only; tests of the journal say where it is. */
export const defaults: AuditLogOptions = {
  durability: { default: "memory", byResult: {} },
  journal: null,
  commitDeadline: "2 seconds",
  queueCapacity: 10_000,
  batchSize: 100,
  linger: "5 millis",
  onFull: "refuse",
  failures: { perAddress: 10, inAll: 100, trustedProxies: [] },
  shutdownDeadline: "10 seconds"
}

/** Wraps a store: the way to block, fail or watch it. */
export type Around = (store: typeof AuditStore.Service) => typeof AuditStore.Service

export interface Trail {
  readonly log: typeof AuditLog.Service
  /** Ends the trail as the end of the process would; harmless when repeated. */
  readonly shutdown: Effect.Effect<void>
  /** Events that the shutdown reported as unwritten. */
  readonly unwritten: () => number
}

/** Connects for each question, so that a trail can begin without its database. */
export const ledgerOf = (url: Redacted.Redacted): typeof AuditLedger.Service => {
  const ask = <A>(question: (ledger: typeof AuditLedger.Service) => Effect.Effect<A, TrailUnreachable>) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.make({ url, maxConnections: 1 }).pipe(
        Effect.provide(Reactivity.layer),
        Effect.mapError(({ message }) => new TrailUnreachable({ reason: message }))
      )
      const context = yield* Layer.build(AuditLedger.layerClient({ sql, deadline: "5 seconds" }))
      return yield* question(Context.get(context, AuditLedger))
    }).pipe(Effect.scoped)
  return {
    sources: (query) => ask((ledger) => ledger.sources(query)),
    source: (source) => ask((ledger) => ledger.source(source)),
    gaps: (source, query) => ask((ledger) => ledger.gaps(source, query)),
    receipts: (source) => ask((ledger) => ledger.receipts(source)),
    silent: (olderThan) => ask((ledger) => ledger.silent(olderThan)),
    deadLetters: ask((ledger) => ledger.deadLetters)
  }
}

/** A whole trail: AuditLog, its drain and a store in a real PostgreSQL. */
export const openTrail = (
  url: Redacted.Redacted,
  options: Partial<AuditLogOptions> = {},
  around: Around = (store) => store,
  store: Partial<PostgresAuditStore.PostgresAuditStoreOptions> = {}
): Effect.Effect<Trail, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const ledger = Layer.succeed(AuditLedger, ledgerOf(url))
    const stores = PostgresAuditStore.layerUrl({ url, ...store }).pipe(
      Layer.map((context) => Context.make(AuditStore, around(Context.get(context, AuditStore))))
    )
    const report = ShutdownReport.make()
    const context = yield* Layer.buildWithScope(
      AuditLog.layer({ ...defaults, ...options }).pipe(
        Layer.provide([stores, ledger, Layer.succeed(ShutdownReport, report)])
      ),
      scope
    ).pipe(Effect.orDie)
    return { log: Context.get(context, AuditLog), shutdown: Scope.close(scope, Exit.void), unwritten: report.unwritten }
  })

/** Runs the body and keeps what it logs, each line with its level before it. */
export const withLogs = <A, E, R>(body: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${String(message)}`))
    return body(lines).pipe(Effect.provide(Logger.add(logger)))
  })

export const recordedIds = (url: Redacted.Redacted) =>
  Effect.map(query(url, "select id from gatekeeper.audit_log order by id"), (rows) =>
    rows.map((row) => String(row["id"]))
  )

/** Waits until the trail is as said, at most 20 seconds. */
export const until = (log: typeof AuditLog.Service, holds: (status: AuditStatus) => boolean) =>
  eventually(log.status, holds, { every: "10 millis" })

/** Everything that was recorded is where it belongs. */
export const settled = (log: typeof AuditLog.Service) => until(log, (status) => status.depth === 0)

export const recordMany = (log: typeof AuditLog.Service, number: number, event: AuditEvent = anEvent) =>
  Effect.forEach(Array.from({ length: number }), () => log.record(event))

/** Asks until the rows are as said, at most 20 seconds. */
export const untilRows = (url: Redacted.Redacted, text: string, holds: (rows: ReadonlyArray<Row>) => boolean) =>
  eventually(query(url, text), holds)

/** `offered = committed + dead-lettered + refused + shed + passed over + depth`. */
export const isConserved = ({ counters, depth }: AuditStatus): boolean =>
  counters.offered ===
  counters.committed + counters.deadLettered + counters.refused + counters.shed + counters.passedOver + depth
