import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { AuditLedger, type DeadLetterCounts, type LedgerSource, maximumSources } from "../sources/AuditLedger.ts"
import type { Balance } from "../sources/Conservation.ts"
import type { TrailUnreachable } from "../store/TrailUnreachable.ts"
import type { JournalSight } from "./JournalSight.ts"
import { sightsIn } from "./JournalSights.ts"
import { accountOf, isNotable, nothing, plus, standingAtHome, unregistered } from "./SourceAccount.ts"
import { type SourceGaps, searchGaps } from "./SourceGaps.ts"
import { trailIdOf } from "./TrailId.ts"

export interface SourceStatus {
  readonly row: LedgerSource
  readonly standing: string
  readonly balance: Balance
  readonly sight: JournalSight | undefined
  /** Null where nobody asked for them. */
  readonly gaps: SourceGaps | null
}

/** What the database says, put together with the journals. */
export interface TrailAccount {
  readonly trail: string
  /** Without password. */
  readonly address: string
  /** The newest, and each that somebody should look at; newest first. */
  readonly sources: ReadonlyArray<SourceStatus>
  /** How many there are in all, and their sum. */
  readonly count: number
  readonly total: Balance
  readonly deadLetters: DeadLetterCounts
}

export interface TrailStatus {
  /** Where journals are. */
  readonly directory: string
  readonly journals: ReadonlyArray<JournalSight>
  readonly account: TrailAccount | null
  /** Why there is no account. */
  readonly problem: string | null
}

export interface TrailStatusQuery {
  /** How many of the newest sources to show. */
  readonly limit: number
  readonly gaps: boolean
}

/** All sources pass by; those that are shown stay. */
const readSources = Effect.fnUntraced(function* (
  ledger: typeof AuditLedger.Service,
  sights: ReadonlyMap<string, JournalSight>,
  limit: number
) {
  const shown: Array<Omit<SourceStatus, "gaps">> = []
  const seen = new Set<string>()
  let count = 0
  let total = nothing
  const take = (row: LedgerSource) => {
    const sight = sights.get(row.source)
    const balance = accountOf(row, sight)
    seen.add(row.source)
    count += 1
    total = plus(total, balance)
    if (count > limit && !isNotable(balance, sight)) return
    shown.push({ row, sight, balance, standing: standingAtHome(row, sight) })
  }
  let after: string | undefined
  do {
    const page = yield* ledger.sources({ limit: maximumSources, after })
    for (const row of page) take(row)
    after = page.length < maximumSources ? undefined : page.at(-1)?.source
  } while (after !== undefined)
  for (const sight of sights.values()) if (!seen.has(sight.source)) take(unregistered(sight))
  return { shown, count, total }
})

const readAccount = Effect.fnUntraced(function* (journals: ReadonlyArray<JournalSight>, query: TrailStatusQuery) {
  const database = yield* Database
  const ledger = yield* AuditLedger
  const trail = yield* trailIdOf(database.pool("gatekeeper"))
  const ours = journals.filter(({ identity }) => identity?.trail === trail)
  const { count, shown, total } = yield* readSources(ledger, new Map(ours.map((one) => [one.source, one])), query.limit)
  const sources = yield* Effect.forEach(shown, (one) =>
    Effect.map(query.gaps ? searchGaps(ledger, one.row, one.sight, one.balance) : Effect.succeed(null), (gaps) => ({
      ...one,
      gaps
    }))
  )
  const deadLetters = yield* ledger.deadLetters
  const account: TrailAccount = { trail, address: database.address("gatekeeper"), sources, count, total, deadLetters }
  return account
})

/** Records come and go while a living process is looked at: what seems to be missing is looked for again. */
const looks = 4
const pause = Duration.millis(300)

const isMoving = ({ sources }: TrailAccount): boolean =>
  sources.some(({ balance, sight }) => sight?.living === true && balance.counted && balance.unaccounted !== 0)

/** The journals first: what they hold is on its way into the ledger, and would be missed there for no reason. */
const look = Effect.fnUntraced(function* (directory: string, query: TrailStatusQuery) {
  for (let turn = 1; ; turn++) {
    const journals = yield* sightsIn(directory)
    const account = yield* readAccount(journals, query)
    if (turn === looks || !isMoving(account)) return { journals, account }
    yield* Effect.sleep(pause)
  }
})

const longestWait = Duration.seconds(5)

/** A look at a database that is away ends soon; `DATABASE_CONNECT_DEADLINE` may make it end sooner. */
const hurried = Layer.effect(
  Settings,
  Effect.map(Settings, (settings) => ({
    ...settings,
    databaseConnectDeadline: Duration.min(settings.databaseConnectDeadline, longestWait)
  }))
)

/** Where the events of the trail are. Never fails: without the database it says so, and what the journals hold. */
export const trailStatus = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  query: TrailStatusQuery
) =>
  Effect.gen(function* () {
    const { home } = yield* Settings
    const directory = Path.resolve(home, "journal")
    const ledger = Layer.provideMerge(AuditLedger.layer, Layer.provide(database, hurried))
    const found = yield* Layer.build(ledger).pipe(
      Effect.flatMap((context) => Effect.provide(look(directory, query), Context.pick(Database, AuditLedger)(context))),
      Effect.either
    )
    if (Either.isRight(found)) {
      const status: TrailStatus = { directory, ...found.right, problem: null }
      return status
    }
    const failure: E | TrailUnreachable = found.left
    const journals = yield* sightsIn(directory)
    const status: TrailStatus = { directory, journals, account: null, problem: failure.message }
    return status
  }).pipe(Effect.scoped)
