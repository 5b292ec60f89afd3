import { expect, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import type { Recorder } from "../../../src/audit/queue/Recorder.ts"
import type { LossAccounts } from "../../../src/audit/recovery/LossAccounts.ts"
import * as OrphanRecovery from "../../../src/audit/recovery/OrphanRecovery.ts"
import { AuditLedger } from "../../../src/audit/sources/AuditLedger.ts"
import { AuditStore } from "../../../src/audit/store/AuditStore.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { eventually } from "../../support/Eventually.ts"
import { identityOf, journalFolder, live } from "../../support/JournalFixture.ts"
import { trail } from "../../support/JournalFixtures.ts"

const away = new DatabaseError({ phase: "connect", reason: "the database is away" })

/** A clock whose pauses last a thousandth, so that the rounds of recovery follow each other. */
const fast = (clock: Clock.Clock): Clock.Clock =>
  Object.assign(Object.create(clock), {
    sleep: (duration: Duration.Duration) => clock.sleep(Duration.times(duration, 0.001))
  })

/** Three rounds over the journals of `directory`, whose `step` fails each time. Returns what they recorded. */
const threeRounds = (directory: string, step: "register" | "signOff" | "closeUnknown", isKnown: boolean) =>
  Effect.gen(function* () {
    const recorded: Array<string> = []
    let failed = 0
    const fails = Effect.suspend(() => {
      failed += 1
      return Effect.fail(away)
    })
    const store = {
      register: () => Effect.void,
      [step]: () => fails
    } as unknown as typeof AuditStore.Service
    const known = { lastSeq: 0, signedOffSeq: null, unsignedAfter: null }
    const ledger = {
      source: () => Effect.succeed(isKnown ? known : undefined),
      silent: () => Effect.succeed([])
    } as unknown as typeof AuditLedger.Service
    const record = (kind: string) => recorded.push(kind)
    const recorder = {
      recordOwn: ({ action }: { readonly action: string }) => record(action)
    } as unknown as Recorder
    const accounts = {
      settleAccount: () => Effect.succeed({ quarantined: 0 }),
      recordLimitsCutOff: () => Effect.sync(() => record("limits")),
      receipt: () => Effect.sync(() => record("tail")),
      settled: () => Effect.void
    } as unknown as LossAccounts
    const recovery = yield* OrphanRecovery.make({
      ...{ directory, incarnation: identityOf(crypto.randomUUID()), trail },
      ...{ quota: makeDiskQuota(2 ** 20), batchSize: 10, accounts, recorder }
    }).pipe(Effect.provideService(AuditStore, store), Effect.provideService(AuditLedger, ledger))
    const clock = yield* Effect.clock
    const running = yield* Effect.fork(Effect.withClock(recovery.run, fast(clock)))
    yield* eventually(
      Effect.sync(() => failed),
      (count) => count >= 3
    )
    yield* Fiber.interrupt(running)
    return recorded
  })

/** What a killed process left: a journal with these counts and rows. */
const leave = (directory: string, rows: number, bootId?: string) =>
  Effect.gen(function* () {
    const source = crypto.randomUUID()
    const identity = bootId === undefined ? {} : { bootId }
    const { die, journal } = yield* live({ directory, source, identity })
    for (const row of rowsOf(rows, { source })) journal.append(row.seq, canonicalJson(row))
    journal.note({ lastSeq: rows, refused: 0, shed: 0, limiting: true })
    yield* die
  })

it.scopedLive("an adoption is recorded once, however often a later step fails", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    yield* leave(directory, 2)
    expect(yield* threeRounds(directory, "register", false)).toEqual(["audit/adoption"])
  })
)

it.scopedLive("limits that were cut off are recorded once, however often the sign-off fails", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    yield* leave(directory, 0)
    expect(yield* threeRounds(directory, "signOff", true)).toEqual(["limits"])
  })
)

it.scopedLive("an unknown tail is recorded once, however often closing its source fails", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    yield* leave(directory, 0, "another boot of the machine")
    expect(yield* threeRounds(directory, "closeUnknown", true)).toEqual(["limits", "tail"])
  })
)
