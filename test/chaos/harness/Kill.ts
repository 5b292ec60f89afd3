import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { Durability } from "../../../src/domain/Durability.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { benchServer, databaseOn } from "../../support/BenchDatabase.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { briefly } from "./Conservation.ts"
import { plan } from "./KillPlan.ts"
import { type KillRound, nextServer, round } from "./KillRound.ts"
import { type LossAccount, lossAccountOf } from "./LossAccount.ts"
import { quarantinedIn } from "./Server.ts"
import { type TrailReport, trailReport } from "./Trail.ts"
import { percentile } from "./Window.ts"

export interface KillOptions {
  readonly mode: Durability
  /** Empty: the first server makes the schema. */
  readonly databaseUrl: Redacted.Redacted
  readonly rounds: number
  /** Of the first round; each next round's is the next number. */
  readonly seed: number
  readonly onRound?: (round: KillRound) => void
}

export interface KillRun {
  readonly mode: Durability
  readonly rounds: ReadonlyArray<KillRound>
  /** Of the whole trail, at the end. */
  readonly trail: TrailReport
  /** What the trail says of all processes that were killed. */
  readonly account: LossAccount
  /** Damaged spans of journal: no kill makes one. */
  readonly quarantined: number
}

/** One mode's rounds, on one trail and one home. */
export const kill = (options: KillOptions) =>
  Effect.gen(function* () {
    const { databaseUrl, mode } = options
    const connection = yield* connect({ url: databaseUrl, applicationName: "gravitas chaos" })
    const field = { mode, databaseUrl, connection, home: yield* temporaryHome }
    const rounds: Array<KillRound> = []
    let server = yield* nextServer(field)
    for (let number = 0; number < options.rounds; number++) {
      const { next, result } = yield* round(field, plan(options.seed + number), server)
      server = next
      rounds.push(result)
      options.onRound?.(result)
    }
    const account = yield* lossAccountOf(connection, server.pid)
    yield* server.kill
    const run: KillRun = {
      mode,
      rounds,
      account,
      trail: yield* trailReport(connection),
      quarantined: yield* quarantinedIn(field.home)
    }
    return run
  }).pipe(Effect.scoped)

const sum = (rounds: ReadonlyArray<KillRound>, count: (round: KillRound) => number): number =>
  rounds.reduce((total, round) => total + count(round), 0)

export const totals = ({ rounds }: KillRun) => ({
  sent: sum(rounds, ({ sent }) => sent),
  answered: sum(rounds, ({ answered }) => answered),
  found: sum(rounds, ({ found }) => found),
  lost: sum(rounds, ({ lost }) => lost.length),
  twice: sum(rounds, ({ twice }) => twice.length),
  contradicted: sum(rounds, ({ contradicted }) => contradicted.length),
  unread: sum(rounds, ({ unread }) => unread),
  unavailable: sum(rounds, ({ unavailable }) => unavailable),
  unsettled: rounds.filter(({ settled }) => !settled).length
})

/** Whether a run ended as its mode promises; about a SIGKILL `memory` promises only that the trail says what it lost. */
export const keptPromise = (run: KillRun): boolean => {
  const { contradicted, lost, twice, unsettled } = totals(run)
  const { deadLetters, gaps, repeated } = run.trail
  const { named, tails, wrong } = run.account
  const madeUp = twice + contradicted + repeated + deadLetters + unsettled + run.quarantined
  return madeUp + wrong.length === 0 && (run.mode === "memory" || lost + gaps + named + tails === 0)
}

const strikeText = ({ plan }: KillRound): string => {
  const doomed = plan.doomed.map(({ for: length, from }) => `${length} ms after its ${from}`)
  return (
    `${plan.strike}, killed ${plan.servedFor + (plan.stoppingFor ?? 0)} ms after the first answer` +
    (plan.writableFor === null ? "" : `, table held from ${plan.writableFor} ms`) +
    (doomed.length === 0 ? "" : `; then ${doomed.join(", ")}`)
  )
}

const roundText = (round: KillRound): string =>
  `seed ${round.plan.seed} (${strikeText(round)}): ${round.answered} answered, ${round.found} in the table, ` +
  `${round.lost.length} lost, ${round.twice.length} twice, ${round.unread} written and not read, ` +
  `${round.unavailable} unavailable; recovered in ${round.recovery.fromStart} ms (${round.recovery.fromReady} ms after ready)` +
  (round.settled ? "" : "; NOT SETTLED") +
  round.contradicted.map((one) => `\n  ${one}`).join("")

const runText = (run: KillRun): string => {
  const { answered, contradicted, found, lost, twice, unavailable, unread, unsettled } = totals(run)
  const { deadLetters, gaps, repeated, rows, sources } = run.trail
  const { lives, named, tails, wrong } = run.account
  const recovery = run.rounds.map(({ recovery }) => recovery.fromReady)
  return (
    `${run.mode}: ${run.rounds.length} rounds, ${answered} answered, ${found} in the table, ${lost} LOST, ${twice} TWICE, ` +
    `${contradicted} contradicted, ${unread} written and not read, ${unavailable} unavailable, ${unsettled} not settled; ` +
    `trail: ${rows} rows of ${sources} sources, ${gaps} gaps, ${repeated} numbers repeated, ${deadLetters} dead letters, ` +
    `${run.quarantined} quarantined; of ${lives} processes, receipts name ${named} numbers and ${tails} unknown tails, ` +
    `${wrong.length} untold or told wrongly; recovered after ready in ${percentile(recovery, 0.5)} ms (p50), ` +
    `${percentile(recovery, 0.99)} ms (p99): ${keptPromise(run) ? "kept its promise" : "BROKE ITS PROMISE"}` +
    wrong.map((one) => `\n  ${one}`).join("")
  )
}

export interface KillCommand {
  readonly rounds: number
  readonly seed: number
  readonly mode: Durability | "all"
  /** One line of JSON for each round and each mode. */
  readonly json: boolean
}

/** `pnpm chaos kill`: so many rounds in each mode asked for. Answers whether each kept its promise. */
export const killCommand = (command: KillCommand) =>
  Effect.gen(function* () {
    const server = yield* benchServer
    let kept = true
    for (const mode of command.mode === "all" ? Durability.literals : [command.mode]) {
      const run = yield* Effect.flatMap(databaseOn(server), (databaseUrl) =>
        kill({
          ...command,
          mode,
          databaseUrl,
          onRound: (round) =>
            console.log(
              command.json ? JSON.stringify({ mode, ...round, ...briefly(round) }) : `${mode} ${roundText(round)}`
            )
        })
      ).pipe(Effect.scoped)
      kept &&= keptPromise(run)
      const { rounds, ...rest } = run
      console.log(command.json ? JSON.stringify({ ...rest, rounds: rounds.length, ...totals(run) }) : runText(run))
    }
    return kept
  })
