import { createHash } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { expect } from "vitest"
import { AuditIngest } from "../../src/audit/ingest/AuditIngest.ts"
import type { IngestEvent } from "../../src/audit/ingest/IngestBatch.ts"
import { balance } from "../../src/audit/sources/Conservation.ts"
import { anEvent } from "./AuditEvents.ts"
import { ledgerOf } from "./Trail.ts"

export const ingestOf = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(AuditIngest.layerUrl({ url, deadline: "3 seconds" })), Context.get(AuditIngest))

export const eventOf = (clientId: string, content = "content"): IngestEvent => ({
  clientId,
  occurredAt: "2026-01-31T12:00:00Z",
  digest: createHash("sha256").update(content).digest("hex"),
  event: { ...anEvent, reason: content, metadata: { content, ingest: { by: "another client" } } }
})

export const batchOf = (count: number, prefix = "event") =>
  Array.from({ length: count }, (_, index) => eventOf(`${prefix} ${index}`))

export const statuses = (outcomes: ReadonlyArray<{ readonly status: string }>) => outcomes.map(({ status }) => status)
export const ids = (outcomes: ReadonlyArray<{ readonly auditId: string | null }>) =>
  outcomes.map(({ auditId }) => auditId)

/** Every source balances, and no number of it is missing. */
export const isWhole = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const ledger = ledgerOf(url)
    const sources = yield* ledger.sources({ limit: 1_000 })
    for (const source of sources) {
      expect(balance(source)).toMatchObject({ unaccounted: 0, pending: 0, counted: true })
      const now = Date.now()
      expect(
        yield* ledger.gaps(source.source, { from: 0, to: source.lastSeq, fromTime: now - 60_000, toTime: now })
      ).toEqual([])
    }
    return sources
  })
