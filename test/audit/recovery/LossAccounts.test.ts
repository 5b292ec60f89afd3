import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import type { Recorder, ShedRange } from "../../../src/audit/queue/Recorder.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import * as LossAccounts from "../../../src/audit/recovery/LossAccounts.ts"
import { AuditLedger } from "../../../src/audit/sources/AuditLedger.ts"
import { AuditStore } from "../../../src/audit/store/AuditStore.ts"

const source = "0196a4c2-0000-7000-8000-000000000001"

/** A recorder that shed the numbers 5 to 7, and the receipts that it recorded. */
const shedding = () => {
  const recorded: Array<unknown> = []
  let shed: ShedRange | undefined = { from: 5, to: 7, count: 3 }
  const recorder = {
    incarnation: { source },
    recordOwn: ({ facts }: { readonly facts?: unknown }) => {
      recorded.push(facts)
      return "0196a4c2-0000-7000-8000-000000000002" as AuditId
    },
    lastSeq: () => 0,
    shedRange: () => shed,
    receipted: () => {
      shed = undefined
    }
  } as unknown as Recorder
  return { recorded, recorder }
}

it.effect("a receipt that is recorded while the ledger is asked names its numbers", () =>
  Effect.gen(function* () {
    const { recorded, recorder } = shedding()
    const duringQuery = yield* Ref.make<Effect.Effect<void>>(Effect.void)
    const lost = yield* Ref.make(-1)
    const ledger = {
      source: () => Effect.succeed(undefined),
      gaps: () => Effect.succeed([{ from: 5, to: 7 }]),
      receipts: () => Effect.as(Effect.flatten(Ref.get(duringQuery)), [])
    } as unknown as typeof AuditLedger.Service
    const store = {
      recordLoss: (_: string, range: { readonly lost: number }) => Ref.set(lost, range.lost)
    } as unknown as typeof AuditStore.Service
    const queue = yield* WriteQueue.make({ capacity: 10, batchSize: 10, linger: 0 })
    const accounts = yield* LossAccounts.make(recorder, queue).pipe(
      Effect.provideService(AuditLedger, ledger),
      Effect.provideService(AuditStore, store)
    )
    yield* Ref.set(duringQuery, accounts.receiptShed)
    yield* accounts.settleAccount({
      source,
      upTo: 10,
      fromTime: 0,
      toTime: 1,
      shed: 0,
      damaged: [],
      unreadable: 0,
      isOver: false
    })
    expect(recorded).toHaveLength(1)
    expect(JSON.stringify(recorded)).toContain("shed")
    expect(yield* Ref.get(lost)).toBe(0)
  })
)
