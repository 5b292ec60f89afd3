import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { withExportedReversal } from "../apply/DataStep.ts"
import {
  interruptedStatement,
  invalidIndexesLeftBy,
  isKnownFromCatalog,
  runningSection
} from "../apply/InvalidIndexes.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { changedSince } from "../apply/NonTransactionalStep.ts"
import { type LockLost, lockSchema, type SchemaLock } from "../apply/SchemaLock.ts"
import type { MigrationSession } from "../apply/Session.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import { downOf, type Revision } from "../files/Revision.ts"
import type { MigratedService, RevisionSet } from "../files/RevisionSet.ts"
import { quotedName, shownName, splitStatements } from "../files/Statements.ts"
import type { HistoryEntry, MigrationHistory } from "../history/MigrationHistory.ts"
import { halfwayOf, isIntact, nameOf, partlyApplied } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import { type RevisionName, Target } from "../plan/Target.ts"

/** A way to repair a history. `reason` is recorded in schema_event. */
export type Repair = Data.TaggedEnum<{
  /** Drop the invalid index that the failed statement left, and continue. */
  Retry: Readonly<Record<never, never>>
  MarkApplied: { readonly reason: string }
  MarkReverted: { readonly reason: string }
  /** Record the present file of a revision as the one that was applied. */
  AcceptChecksum: RevisionName & { readonly reason: string }
}>
export const Repair = Data.taggedEnum<Repair>()

/** The requested repair does not apply to the present state. */
export class NothingToRepair extends Schema.TaggedError<NothingToRepair>()("NothingToRepair", {
  service: ServiceName,
  problem: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: ${this.problem}; nothing was changed. ` +
      `To see problems and remedies: pnpm migrate --service ${this.service} repair`
    )
  }
}

/** The file of an entry, if this program has it. */
const fileOf = (revisions: ReadonlyArray<Revision>, entry: HistoryEntry): Option.Option<Revision> =>
  Option.filter(
    Option.fromNullable(revisions[entry.revision - 1]),
    ({ kind, slug }) => slug === entry.slug && kind === entry.kind
  )

const checksums = (revision: Revision) => ({ up: revision.up.checksum, down: downOf(revision)?.checksum ?? null })

/** The target to which `Retry` continues. */
const endOf = ({ revision, state }: HistoryEntry): Target =>
  state === "reverting"
    ? Target.DownTo({ number: revision - 1, slug: null })
    : Target.UpTo({ number: revision, slug: null })

/** The number of the first statement of an SQL revision that ran and has changed since; null if none did, or if it is unreadable. */
const changedStatement = (entry: HistoryEntry, file: Option.Option<Revision>): Effect.Effect<number | null> =>
  Effect.gen(function* () {
    const section = runningSection(entry, file)
    if (Option.isNone(section)) return null
    const statements = yield* Effect.option(splitStatements(section.value))
    return Option.isNone(statements)
      ? null
      : changedSince(entry, { section: section.value, statements: statements.value })
  })

/** What a repair works with, under the lock. */
interface RepairContext {
  readonly service: ServiceName
  readonly set: RevisionSet
  readonly session: MigrationSession
  readonly history: MigrationHistory
  readonly lock: SchemaLock
  readonly entries: ReadonlyArray<HistoryEntry>
}

/** Commits `work` together with the event that records the repair. */
const recordRepair = (
  { history, lock, session }: RepairContext,
  entry: HistoryEntry,
  reason: string | null,
  work: Effect.Effect<unknown, DatabaseError>,
  details: object
) =>
  lock
    .transaction(() => Effect.zipRight(work, history.event("repaired", entry, reason, details)))
    .pipe(Effect.catchTag("DatabaseError", (cause) => session.refuse("recording the repair")(cause)))

/** Records the present file of `entry` as the one that was applied; does nothing if this program does not have it. */
const acceptFile = (
  { history, set }: RepairContext,
  entry: HistoryEntry
): Effect.Effect<Effect.Effect<unknown, DatabaseError>, DataRevisionUnreadable> =>
  Option.match(fileOf(set.revisions, entry), {
    onNone: () => Effect.succeed(Effect.void),
    onSome: (revision) => Effect.map(withExportedReversal(revision), history.accept)
  })

const acceptChecksum = Effect.fnUntraced(function* (
  context: RepairContext,
  repair: Repair & { readonly _tag: "AcceptChecksum" }
) {
  const { entries, service, set } = context
  const nothing = (problem: string) => new NothingToRepair({ service, problem })
  const entry = entries.find(({ revision }) => revision === repair.number)
  if (entry === undefined || (repair.slug !== null && repair.slug !== entry.slug)) {
    return yield* nothing(`revision ${repair.number} is not applied in this database under that name`)
  }
  const file = fileOf(set.revisions, entry)
  if (Option.isNone(file)) return yield* nothing(`the file of ${nameOf(entry)} is missing`)
  if (isIntact(entry, file.value)) return yield* nothing(`the file of ${nameOf(entry)} is as it was applied`)
  yield* recordRepair(context, entry, repair.reason, yield* acceptFile(context, entry), {
    action: "accept-checksum",
    old: { up: entry.up_checksum, down: entry.down_checksum },
    new: checksums(file.value)
  })
  return { entry, did: `the file is accepted as it is now (${file.value.up.checksum.slice(0, 12)}…)` }
})

/** Drops the indexes that the failed statement left invalid, and returns their names. */
const dropInvalidIndexes = Effect.fnUntraced(function* (
  { lock, service, session }: RepairContext,
  entry: HistoryEntry,
  file: Option.Option<Revision>
) {
  const { connection } = session
  const left = yield* invalidIndexesLeftBy(connection, entry, file, service).pipe(
    Effect.mapError(session.refuse("listing the indexes that the failed statement left"))
  )
  const drop: Effect.Effect<void, DatabaseError | LockLost> = Effect.forEach(
    left,
    (index) =>
      Effect.zipRight(
        lock.fence,
        connection.query(`drop index concurrently if exists ${quotedName(index)}`, undefined, { deadline: null })
      ),
    { discard: true }
  )
  yield* drop.pipe(Effect.catchTag("DatabaseError", (cause) => session.refuse("dropping an invalid index")(cause)))
  return left.map(shownName)
})

/** The half-way state before the repair, for the event. */
const stateOf = (entry: HistoryEntry) => ({
  from: entry.state,
  stepsDone: entry.steps_done,
  stepsTotal: entry.steps_total
})

/** Prepares the half-way revision `entry` to continue. */
const retry = Effect.fnUntraced(function* (context: RepairContext, entry: HistoryEntry) {
  const { entries, history, service, set } = context
  const file = fileOf(set.revisions, entry)
  // A data revision that failed is corrected in its file and continues with the present one.
  const edited = Option.filter(file, (revision) => entry.kind === "ts" && !isIntact(entry, revision))
  const accepted = Option.isSome(edited) ? yield* acceptFile(context, entry) : Effect.void
  // A repair is only recorded if the revision can continue.
  const up_checksum = Option.match(edited, { onNone: () => entry.up_checksum, onSome: ({ up }) => up.checksum })
  const plan = Plan.make(set, [...entries.slice(0, -1), { ...entry, up_checksum }], endOf(entry))
  if (Either.isLeft(plan)) return yield* plan.left
  const changed = yield* changedStatement(entry, file)
  if (changed !== null) {
    const problem = `statement ${changed} of ${nameOf(entry)} differs from the one that ran; restore it`
    return yield* partlyApplied(service, entry, problem)
  }
  const dropped = yield* dropInvalidIndexes(context, entry, file)
  // Without the record that it began, the statement runs again; that fails if it was done after all.
  const known = Option.exists(yield* interruptedStatement(entry, file), isKnownFromCatalog)
  const work = known ? Effect.void : history.stepsBegun(entry.revision, entry.steps_done)
  yield* recordRepair(context, entry, null, Effect.zipRight(accepted, work), {
    action: "retry",
    dropped,
    ...stateOf(entry),
    ...Option.match(edited, {
      onNone: () => ({}),
      onSome: (revision) => ({ old: { up: entry.up_checksum, down: entry.down_checksum }, new: checksums(revision) })
    })
  })
  if (Option.isSome(edited)) {
    return { entry, did: `continued with the file as it is now (${edited.value.up.checksum.slice(0, 12)}…)` }
  }
  return {
    entry,
    did: dropped.length === 0 ? "continued" : `dropped the invalid ${dropped.join(", ")} and continued`
  }
})

/** Does everything under the lock except continuing the revision. Returns what was done. */
const applyRepair = Effect.fn("Migrator.mend")(function* (migrated: MigratedService, repair: Repair) {
  const service = migrated.name
  const { history, session, set } = yield* openSchema(migrated)
  const { entries, lock } = yield* lockSchema({ service, session, history, adopt: false })
  const context: RepairContext = { service, set, session, history, lock, entries }
  if (repair._tag === "AcceptChecksum") return yield* acceptChecksum(context, repair)
  const halfway = halfwayOf(entries)
  if (Option.isNone(halfway)) return yield* new NothingToRepair({ service, problem: "no revision is half-way" })
  const entry = halfway.value
  if (repair._tag === "Retry") return yield* retry(context, entry)
  if (repair._tag === "MarkApplied") {
    const work = Effect.zipRight(yield* acceptFile(context, entry), history.finish(entry.revision))
    yield* recordRepair(context, entry, repair.reason, work, { action: "mark-applied", ...stateOf(entry) })
    return { entry, did: "recorded as applied" }
  }
  const remove = history.remove(entry.revision)
  yield* recordRepair(context, entry, repair.reason, remove, { action: "mark-reverted", ...stateOf(entry) })
  return { entry, did: "recorded as not applied" }
}, Effect.scoped)

/** Repairs a half-way or edited revision and records who did it, when and why. `Retry` then runs the revision to its end. */
export const repair = Effect.fn("Migrator.repair")(function* (service: MigratedService, repair: Repair) {
  const { did, entry } = yield* applyRepair(service, repair)
  if (repair._tag === "Retry") yield* migrate(service, endOf(entry))
  const { entries } = yield* openSchema(service)
  return {
    service: service.name,
    revision: nameOf(entry),
    /** Completes "0002_x: …". */
    did,
    current: Plan.currentOf(entries).name
  }
}, Effect.scoped)

export type RepairOutcome = Effect.Effect.Success<ReturnType<typeof repair>>
