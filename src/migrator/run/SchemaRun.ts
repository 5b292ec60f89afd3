import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { Database } from "../../platform/Database.ts"
import { ExitCode } from "../ExitCode.ts"
import { type History, makeHistory, type Snapshot } from "../history/History.ts"
import type { HistoryEntry } from "../history/HistoryEntry.ts"
import { MigratorOptions, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import { loadRevisionSet } from "../revision/MigrationFiles.ts"
import { revisionName } from "../revision/Revision.ts"
import { headOf, type RevisionSet } from "../revision/RevisionSet.ts"
import { VersionRow, versionQuery } from "../SchemaVersion.ts"
import { runStep } from "./Application.ts"
import { acquire, type SchemaLock } from "./SchemaLock.ts"
import { openSession, type Session } from "./Session.ts"
import { refOf } from "./StepRun.ts"

/** The schema holds tables that no history tells about: somebody else's, or a database from before the migrator. */
export class SchemaNotEmpty extends Schema.TaggedError<SchemaNotEmpty>()("SchemaNotEmpty", {
  service: ServiceName,
  address: Schema.String,
  relations: Schema.Array(Schema.String)
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    const { service } = this
    return (
      `${service}: the schema ${service} of ${this.address} has no migration history, but is not empty ` +
      `(${this.relations.join(", ")}); nothing was run. If these are its tables, adopt them with a baseline (stamp); ` +
      `if they may go: drop schema ${service} cascade; then: pnpm migrate --service ${service} upgrade`
    )
  }
}

/** A newer program made the history tables. */
export class HistoryFormatUnknown extends Schema.TaggedError<HistoryFormatUnknown>()("HistoryFormatUnknown", {
  service: ServiceName,
  format: Schema.Number
}) {
  get exitCode() {
    return ExitCode.databaseAhead
  }
  override get message(): string {
    return (
      `${this.service}: the history tables have format ${this.format}, this program knows ${toolVersion} at most; nothing ` +
      "was run. Run the newer version"
    )
  }
}

/** What a run did. */
export interface Outcome {
  readonly service: ServiceName
  readonly from: string
  readonly to: string
  readonly head: string
  readonly steps: ReadonlyArray<{ readonly direction: "up" | "down"; readonly revision: string }>
  readonly ahead: ReadonlyArray<string>
  readonly address: string
  readonly version: VersionRow
}

/** One service's files, session and history: what every command works with. */
export interface SchemaRun {
  readonly set: RevisionSet
  readonly session: Session
  readonly history: History
  /** None: there are no history tables yet. */
  readonly snapshot: Option.Option<Snapshot>
}

const nothing: Snapshot = { format: toolVersion, entries: [] }

const known = (service: ServiceName, snapshot: Option.Option<Snapshot>) => {
  const { format, entries } = Option.getOrElse(snapshot, () => nothing)
  return format > toolVersion ? new HistoryFormatUnknown({ service, format }) : Effect.succeed(entries)
}

/** Reads files and history; no lock, and no statement but `select`. */
export const openRun = Effect.fn("Migrator.open")(function* (service: ServiceName) {
  const set = yield* loadRevisionSet(service)
  const session = yield* openSession(service)
  const history = makeHistory(service, session.connection, yield* MigratorOptions)
  const snapshot = yield* history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  const entries: ReadonlyArray<HistoryEntry> = yield* known(service, snapshot)
  const run: SchemaRun = { set, session, history, snapshot }
  return { ...run, entries }
})

const relations = (service: ServiceName) =>
  `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = '${service}' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') order by 1 limit 10`

/** Makes the schema and its history tables in one transaction; inside the lock, or two starters would both make them. */
const prepare = ({ session, history }: SchemaRun, lock: SchemaLock, service: ServiceName) =>
  session.connection.transaction(
    Effect.gen(function* () {
      yield* lock.fence
      const { rows } = yield* session.connection.query(
        `select from pg_catalog.pg_namespace where nspname = '${service}'`
      )
      // `create schema if not exists` wants the privilege to create one even where it stands.
      if (rows.length === 0) yield* session.connection.query(`create schema ${service}`)
      const found = yield* session.connection.query(relations(service))
      if (found.rows.length > 0) {
        const names = found.rows.map((row) => String(row["name"]))
        return yield* new SchemaNotEmpty({ service, address: session.address, relations: names })
      }
      yield* history.prepare
    })
  )

const decodeVersion = Schema.decodeUnknown(Schema.NonEmptyArray(VersionRow))

/**
 * Brings a service's schema to `target`.
 *
 * Looks first without the lock: where nothing is to be done nobody is kept waiting. Then again under it, for another process may
 * have done the work in between.
 */
export const migrate = Effect.fn("Migrator.migrate")(function* (service: ServiceName, target: Plan.Target) {
  const run = yield* openRun(service)
  const { entries, history, session, set } = run
  const options = yield* MigratorOptions

  const finished = (plan: Plan.Plan) =>
    session.connection.query(versionQuery(service)).pipe(
      Effect.mapError(session.refuse("reading schema_version back")),
      Effect.flatMap(({ rows }) => Effect.orDie(decodeVersion(rows))),
      Effect.map(
        ([version]): Outcome => ({
          service,
          from: plan.current,
          to: version.name,
          head: headOf(set).name,
          steps: plan.steps.map((step) => {
            const { revision, slug } = refOf(step)
            return { direction: step._tag === "Apply" ? "up" : "down", revision: revisionName(revision, slug) }
          }),
          ahead: plan.ahead.map((entry) => revisionName(entry.revision, entry.slug)),
          address: session.address,
          version
        })
      )
    )

  if (Option.isSome(run.snapshot)) {
    const plan = Plan.make(set, entries, target)
    // Half-way may only mean that another process is at it right now: the lock will tell.
    if (Either.isLeft(plan) && plan.left._tag !== "PartlyApplied") return yield* plan.left
    if (Either.isRight(plan) && plan.right.steps.length === 0) return yield* finished(plan.right)
  }

  const lock = yield* acquire(session.connection, service, options.lockWait).pipe(
    Effect.catchTag("DatabaseError", (cause) => session.refuse("taking the migration lock")(cause))
  )
  const read = history.read.pipe(Effect.mapError(session.refuse("reading the migration history")))
  let snapshot = yield* read
  if (Option.isNone(snapshot)) {
    yield* prepare(run, lock, service).pipe(
      Effect.catchTag("DatabaseError", (cause) => session.refuse("making the schema and its history tables")(cause))
    )
    snapshot = yield* read
  }
  const standingEntries = yield* known(service, snapshot)
  const plan = yield* Plan.make(set, standingEntries, target)
  const { lockTimeout } = options
  const url = (yield* Database).url(service, "migration")
  let standing = plan.current
  for (const step of plan.steps) {
    yield* runStep({ service, session, lock, history, lockTimeout, options, url, standing }, step)
    standing = Plan.standingAfter(step, standingEntries)
  }
  yield* session.reset.pipe(Effect.mapError(session.refuse("resetting the session")))
  return yield* finished(plan)
}, Effect.scoped)
