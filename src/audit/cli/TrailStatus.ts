import * as Path from "node:path"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { CommandError, Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { AuditLedger, type DeadLetterCounts, type LedgerSource, maximumSources } from "../sources/AuditLedger.ts"
import type { Balance } from "../sources/Conservation.ts"
import { boundedQuery, type TrailUnreachable } from "../store/TrailUnreachable.ts"
import { type JournalSummary, summariesIn } from "./JournalReport.ts"
import {
  addBalance,
  balanceOf,
  emptyBalance,
  isNotable,
  localStanding,
  type SourceGaps,
  searchGaps,
  unregistered
} from "./SourceAccount.ts"

export interface SourceStatus {
  readonly row: LedgerSource
  readonly standing: string
  readonly balance: Balance
  /** Its journal on this machine. */
  readonly journal: JournalSummary | undefined
  /** Null without `--gaps`. */
  readonly gaps: SourceGaps | null
}

/** The account of all events, from the database and the journals. */
export interface TrailAccount {
  readonly trail: string
  /** Without password. */
  readonly address: string
  /** The newest sources and the notable older ones; newest first. */
  readonly sources: ReadonlyArray<SourceStatus>
  /** The number of all sources, and the sum of their balances. */
  readonly count: number
  readonly total: Balance
  readonly deadLetters: DeadLetterCounts
}

export interface TrailStatus {
  readonly directory: string
  readonly journals: ReadonlyArray<JournalSummary>
  readonly account: TrailAccount | null
  /** Why there is no account. */
  readonly problem: string | null
}

export interface TrailStatusQuery {
  /** How many of the newest sources to show. */
  readonly limit: number
  readonly gaps: boolean
}

const TrailRow = Schema.Tuple(Schema.Struct({ id: Schema.String }))

const longestWait = Duration.seconds(5)

/** Reads the id of the trail that a database holds, a uuid. */
const readTrailId = (sql: SqlClient.SqlClient): Effect.Effect<string, TrailUnreachable> =>
  Effect.map(boundedQuery(TrailRow, sql`select id from gatekeeper.audit_trail`, longestWait), ([{ id }]) => id)

/** Reads all sources page by page, and keeps only those that are shown. */
const readSources = Effect.fnUntraced(function* (
  ledger: typeof AuditLedger.Service,
  journals: ReadonlyMap<string, JournalSummary>,
  limit: number
) {
  const shown: Array<Omit<SourceStatus, "gaps">> = []
  const seen = new Set<string>()
  let count = 0
  let total = emptyBalance
  const add = (row: LedgerSource) => {
    const journal = journals.get(row.source)
    const balance = balanceOf(row, journal)
    seen.add(row.source)
    count += 1
    total = addBalance(total, balance)
    if (count > limit && !isNotable(balance, journal)) return
    shown.push({ row, journal, balance, standing: localStanding(row, journal) })
  }
  let after: string | undefined
  do {
    const page = yield* ledger.sources({ limit: maximumSources, after })
    for (const row of page) add(row)
    after = page.length < maximumSources ? undefined : page.at(-1)?.source
  } while (after !== undefined)
  for (const journal of journals.values()) if (!seen.has(journal.source)) add(unregistered(journal))
  return { shown, count, total }
})

const readAccount = Effect.fnUntraced(function* (journals: ReadonlyArray<JournalSummary>, query: TrailStatusQuery) {
  const database = yield* Database
  const ledger = yield* AuditLedger
  const trail = yield* readTrailId(database.pool("gatekeeper"))
  const ours = journals.filter(({ identity }) => identity?.trail === trail)
  const { count, shown, total } = yield* readSources(ledger, new Map(ours.map((one) => [one.source, one])), query.limit)
  const sources = yield* Effect.forEach(shown, (one) =>
    Effect.map(query.gaps ? searchGaps(ledger, one.row, one.journal, one.balance) : Effect.succeed(null), (gaps) => ({
      ...one,
      gaps
    }))
  )
  const deadLetters = yield* ledger.deadLetters
  const account: TrailAccount = { trail, address: database.address("gatekeeper"), sources, count, total, deadLetters }
  return account
})

/** Events move from the journal to the table while both are read, so a difference is read again. */
const attempts = 4
const pause = Duration.millis(300)

const isMoving = ({ sources }: TrailAccount): boolean =>
  sources.some(({ balance, journal }) => journal?.living === true && balance.counted && balance.unaccounted !== 0)

/** Reads the journals before the ledger: an event that moves in between is counted in both, not in neither. */
const readAll = Effect.fnUntraced(function* (directory: string, query: TrailStatusQuery) {
  for (let attempt = 1; ; attempt++) {
    const journals = yield* summariesIn(directory)
    const account = yield* readAccount(journals, query)
    if (attempt === attempts || !isMoving(account)) return { journals, account }
    yield* Effect.sleep(pause)
  }
})

/** Bounds the wait for an unreachable database; `DATABASE_CONNECT_DEADLINE` may be shorter. */
const boundedSettings = Layer.effect(
  Settings,
  Effect.map(Settings, (settings) => ({
    ...settings,
    databaseConnectDeadline: Duration.min(settings.databaseConnectDeadline, longestWait)
  }))
)

/** Finds where the events of the trail are. Never fails: without the database it returns the reason and the journals. */
export const trailStatus = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  query: TrailStatusQuery
) =>
  Effect.gen(function* () {
    const { home } = yield* Settings
    const directory = Path.resolve(home, "journal")
    const ledger = Layer.provideMerge(AuditLedger.layer, Layer.provide(database, boundedSettings))
    const found = yield* readAll(directory, query).pipe(Effect.provide(ledger), Effect.either)
    if (Either.isRight(found)) return { directory, ...found.right, problem: null } satisfies TrailStatus
    const failure: E | TrailUnreachable = found.left
    const journals = yield* summariesIn(directory)
    return { directory, journals, account: null, problem: failure.message } satisfies TrailStatus
  })

const events = (count: number): string => (count === 1 ? "1 event" : `${count} events`)

/** Null when every event is accounted for and no dead letter waits. */
export const trailVerdict = ({ account, problem }: Pick<TrailStatus, "account" | "problem">): Verdict | null => {
  if (account === null) {
    return { error: "TrailUnreachable", message: problem ?? "the database is unreachable", exitCode: ExitCode.noAccess }
  }
  const { deadLetters, sources, total } = account
  const removed = sources.reduce((sum, { gaps }) => sum + (gaps?.beyond ?? 0), 0)
  const found = [
    ...(total.lost > 0 ? [`${events(total.lost)} lost: loss receipts in the trail name them`] : []),
    ...(total.unaccounted > 0 ? [`${events(total.unaccounted)} unaccounted for`] : []),
    ...(removed > 0 ? [`${events(removed)} removed from the trail`] : [])
  ]
  if (found.length > 0) {
    return {
      error: "EventsUnaccounted",
      message: `${found.join("; ")}. To list the missing numbers: ${program} trail status --gaps`,
      exitCode: ExitCode.unaccounted
    }
  }
  return deadLetters.waiting === 0
    ? null
    : {
        error: "LettersWait",
        message: `${deadLetters.waiting} dead letters wait. To list them: ${program} dead-letters list`,
        exitCode: ExitCode.deadLettersWaiting
      }
}
