import * as Path from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { AuditLedger } from "../../src/audit/sources/AuditLedger.ts"
import { AuditStore } from "../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import type { Durability } from "../../src/domain/Durability.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"

export interface BenchTrailOptions {
  readonly url: Redacted.Redacted
  /** Journals are in its `journal`, as those of a GRAVITAS_HOME. */
  readonly home: string
  readonly durability: Durability
  /** Events in memory; by default as many as a server's. */
  readonly capacity?: number
  /** Before each batch is written. */
  readonly gate?: Effect.Effect<void>
}

export type Trail = typeof AuditLog.Service

/** Rows in one transaction. */
export const batch = 1_000

const ledger = (url: Redacted.Redacted) =>
  Layer.unwrapScoped(
    Effect.map(PgClient.make({ url, maxConnections: 2 }), (sql) =>
      AuditLedger.layerClient({ sql, deadline: "5 seconds" })
    )
  ).pipe(Layer.provide(Reactivity.layer))

const store = (url: Redacted.Redacted, gate: Effect.Effect<void>) =>
  Layer.map(PostgresAuditStore.layerUrl({ url }), (context) => {
    const store = Context.get(context, AuditStore)
    return Context.make(AuditStore, {
      ...store,
      append: (rows, options) => Effect.zipRight(gate, store.append(rows, options))
    })
  })

/** A whole trail with a server's settings; its end drains it. */
export const openTrail = ({ capacity, durability, gate = Effect.void, home, url }: BenchTrailOptions) =>
  Layer.build(
    AuditLog.layer({
      durability: { default: durability, byResult: {} },
      journal: { directory: Path.join(home, "journal"), maxBytes: 4 * 2 ** 30, flushInterval: "1 second" },
      // Longer than a server's: an answer that comes late shall be measured.
      commitDeadline: "30 seconds",
      queueCapacity: capacity ?? (durability === "memory" ? 65_536 : 8_192),
      batchSize: batch,
      linger: "20 millis",
      onFull: "refuse",
      failures: { perAddress: 10, inAll: 100, trustedProxies: [] },
      shutdownDeadline: "60 seconds"
    }).pipe(Layer.provide([store(url, gate), ledger(url), ShutdownReport.layer]))
  ).pipe(Effect.map((context): Trail => Context.get(context, AuditLog)))

/** Everything that was recorded is in the database. */
export const drained = (trail: Trail) =>
  trail.status.pipe(Effect.repeat({ until: ({ depth }) => depth === 0, schedule: Schedule.spaced("2 millis") }))
