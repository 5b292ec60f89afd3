import * as Effect from "effect/Effect"
import { Durability } from "../../../src/domain/Durability.ts"
import { briefly } from "./Conservation.ts"
import { type FaultName, faultNames } from "./Faults.ts"
import { type FaultReport, type OutageRun, outage } from "./OutageRun.ts"
import type { Window } from "./Window.ts"

/** Requests a second: the load, the gatekeeper and PostgreSQL share a small machine. */
const rate = 300

const watch = { before: 4_000, during: 12_000, after: 3_000 }

const millis = (value: number): string => value.toFixed(1)

const windowText = ({ byStatus, longest, p50, p99, requests }: Window): string => {
  const statuses = Object.entries(byStatus).map(([status, count]) => `${status}: ${count}`)
  return `p50 ${millis(p50)} p99 ${millis(p99)} longest ${millis(longest)} ms, ${requests} requests (${statuses.join(", ")})`
}

const reportText = ({ after, before, deepest, during, fault, recovery, rss, settled }: FaultReport): string => {
  const ratio = before === undefined ? "" : `; p99 ${(during.p99 / before.p99).toFixed(1)} x before`
  return [
    `${fault}: ${deepest} events waited at most, ${rss} MB${ratio}; ` +
      (settled ? `recovered ${recovery} ms after its end` : "NOT SETTLED"),
    ...(before === undefined ? [] : [`  before  ${windowText(before)}`]),
    `  during  ${windowText(during)}`,
    `  after   ${windowText(after)}`
  ].join("\n")
}

/** Nothing lost or made up by any fault; in `memory` too, whose queue holds what these faults keep waiting. */
export const isWhole = (run: OutageRun): boolean => {
  const { deadLetters, gaps, repeated } = run.trail
  const wrong =
    run.lost.length + run.twice.length + run.contradicted.length + deadLetters + gaps + repeated + run.quarantined
  return wrong === 0 && run.exitCode === 0 && run.faults.every(({ settled }) => settled)
}

const runText = (run: OutageRun): string => {
  const { deadLetters, gaps, repeated, rows, sources } = run.trail
  return (
    `${run.mode}: ${run.sent} sent, ${run.answered} answered, ${run.found} in the table, ${run.lost.length} LOST, ` +
    `${run.twice.length} TWICE, ${run.contradicted.length} contradicted, ${run.unread} written and not read, ` +
    `${run.unavailable} unavailable; trail: ${rows} rows of ${sources} sources, ${gaps} gaps, ${repeated} numbers repeated, ` +
    `${deadLetters} dead letters, ${run.quarantined} quarantined; exit ${run.exitCode}: ${isWhole(run) ? "whole" : "NOT WHOLE"}` +
    run.contradicted
      .slice(0, 10)
      .map((one) => `\n  ${one}`)
      .join("") +
    (run.lastWords === "" ? "" : `\nthe gatekeeper's last words:\n${run.lastWords}`)
  )
}

export interface OutageCommand {
  readonly seed: number
  readonly mode: Durability | "all"
  readonly faults: ReadonlyArray<FaultName>
  /** One line of JSON for each fault and each mode. */
  readonly json: boolean
}

/** `pnpm chaos outage`. Answers whether the trail was whole in each mode. */
export const outageCommand = (command: OutageCommand) =>
  Effect.gen(function* () {
    let whole = true
    for (const mode of command.mode === "all" ? Durability.literals : [command.mode]) {
      const run = yield* outage({
        mode,
        faults: command.faults.length === 0 ? faultNames : command.faults,
        seed: command.seed,
        rate,
        watch,
        onFault: (report) => console.log(command.json ? JSON.stringify({ mode, ...report }) : reportText(report))
      })
      whole &&= isWhole(run)
      console.log(command.json ? JSON.stringify({ ...run, ...briefly(run) }) : runText(run))
    }
    return whole
  })
