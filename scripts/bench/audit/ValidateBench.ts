import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { closedRounds, closedSummary, ratioOf, roundsOf } from "../http/HttpBench.ts"

const audits = ["off", "memory", "journal"] as const
type Audit = (typeof audits)[number]

const options = { rivals: audits, connections: 32, rounds: 12, millis: 1_200, warmUpMillis: 4_000 }

/** `/validate` under as much load as it answers, with a trail and without. */
export const validateBench = (server: Redacted.Redacted) =>
  Effect.gen(function* () {
    const field = yield* closedRounds(options, server)
    const summary = (audit: Audit) => closedSummary(roundsOf(field, audit))
    const ratio = (audit: Audit) => ratioOf(field, audit, "off", ({ perSecond }) => perSecond)
    return {
      connections: options.connections,
      off: summary("off"),
      memory: summary("memory"),
      journal: summary("journal"),
      ratios: { memoryToOff: ratio("memory"), journalToOff: ratio("journal") }
    }
  }).pipe(Effect.scoped)

export type ValidateReport = Effect.Effect.Success<ReturnType<typeof validateBench>>

export const validateTable = (report: ValidateReport): ReadonlyArray<string> => {
  const cells = (audit: Audit) => {
    const { microseconds, perSecond, processorTimePerRequest } = report[audit]
    return [
      whole(perSecond),
      ...[microseconds.p50, microseconds.p99].map((value) => fixed(2)(value / 1_000)),
      whole(processorTimePerRequest)
    ]
  }
  return [
    line(`/validate, ${report.connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu us each", "/ off"]),
    line("without audit", cells("off")),
    line("audit in memory", [...cells("memory"), fixed(3)(report.ratios.memoryToOff)]),
    line("audit with the journal", [...cells("journal"), fixed(3)(report.ratios.journalToOff)])
  ]
}
