import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { detachState, finalizeOf, invalidIndexes } from "../apply/Catalog.ts"
import { withExportedReversal } from "../apply/DataStep.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { changedSince } from "../apply/NonTransactionalStep.ts"
import { lockSchema } from "../apply/SchemaLock.ts"
import { invalidIndexesNamedIn } from "../apply/UnbegunRevision.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import { downOf, type Revision, type Section } from "../files/Revision.ts"
import type { MigratedService, RevisionSet } from "../files/RevisionSet.ts"
import {
  classOf,
  type QualifiedName,
  quotedName,
  readTree,
  type StatementClass,
  shownName,
  splitStatements
} from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { halfwayOf, isIntact, nameOf, partlyApplied, storedDownOf } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import type { RevisionName } from "../plan/PlanRefusal.ts"
import { Target } from "../plan/Target.ts"

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
const fileOf = ({ revisions }: RevisionSet, { kind, revision, slug }: HistoryEntry): Revision | undefined =>
  revisions.find((one) => one.number === revision && one.slug === slug && one.kind === kind)

const checksums = (revision: Revision) => ({ up: revision.up.checksum, down: downOf(revision)?.checksum ?? null })

/** The target to which `Retry` continues. */
const endOf = ({ revision, state }: HistoryEntry): Target =>
  state === "reverting"
    ? Target.DownTo({ number: revision - 1, slug: null })
    : Target.UpTo({ number: revision, slug: null })

/** The statements that `entry` was running: its up from the file, its down as stored. Undefined for a data revision. */
const runningSection = (entry: HistoryEntry, file: Revision | undefined): Section | undefined =>
  entry.kind === "ts" ? undefined : entry.state === "applying" ? file?.up : storedDownOf(entry)

/** The statement at which a half-way revision was interrupted; undefined if it is a data revision or cannot be read. */
const interruptedStatement = Effect.fnUntraced(function* (entry: HistoryEntry, file: Revision | undefined) {
  const section = runningSection(entry, file)
  if (section === undefined) return undefined
  const statements = yield* Effect.orElseSucceed(splitStatements(section), () => [])
  const statement = statements[entry.steps_done]
  return statement && classOf(yield* readTree(statement.text))
})

/** True if the catalog shows the outcome: it builds or drops a concurrent index with a known name, or detaches a partition. */
const isKnownFromCatalog = (kind: StatementClass | undefined): boolean =>
  kind?._tag === "DropIndex" ||
  kind?._tag === "DetachPartition" ||
  (kind?._tag === "CreateIndex" && kind.index !== null)

/**
 * The invalid indexes that the interrupted statement of `entry` left, and only those. For `create index concurrently` it is the
 * index of its name, or any on its table if PostgreSQL chose the name. For `reindex concurrently` it is those with PostgreSQL's
 * transient names (`_ccnew`, `_ccold`).
 */
const invalidIndexesLeftBy = Effect.fnUntraced(function* (
  connection: Connection,
  entry: HistoryEntry,
  file: Revision | undefined,
  service: ServiceName
) {
  // The file may ask for a transaction since its statement failed.
  if (entry.state === "applying" && file?.up.transaction === true) return yield* invalidIndexesNamedIn(connection, file)
  const kind = yield* interruptedStatement(entry, file)
  if (kind?._tag === "CreateIndex") {
    const { index, table } = kind
    const found = yield* invalidIndexes(connection, { table })
    return found.filter(({ name }) => index === null || index.name === name)
  }
  if (kind?._tag !== "Repeatable") return []
  const found = yield* invalidIndexes(connection, { schema: service })
  return found.filter(({ name }) => /_cc(new|old)\d*$/.test(name))
})

/** The number of the first statement of an SQL revision that ran and has changed since; null if none did, or if it is unreadable. */
const changedStatement = (entry: HistoryEntry, file: Revision | undefined): Effect.Effect<number | null> => {
  const section = runningSection(entry, file)
  if (section === undefined) return Effect.succeed(null)
  return Effect.match(splitStatements(section), {
    onFailure: () => null,
    onSuccess: (statements) => changedSince(entry, { section, statements })
  })
}

/** What a repair works with, under the lock. */
const openLocked = (migrated: MigratedService) => Effect.flatMap(openSchema(migrated), (opened) => lockSchema(opened))
type RepairContext = Effect.Effect.Success<ReturnType<typeof openLocked>>

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
    .pipe(Effect.catchTag("DatabaseError", session.refuse("recording the repair")))

/** Records the present file of `entry` as the one that was applied; does nothing if this program does not have it. */
const acceptFile = (
  { history, set }: RepairContext,
  entry: HistoryEntry
): Effect.Effect<Effect.Effect<unknown, DatabaseError>, DataRevisionUnreadable> => {
  const file = fileOf(set, entry)
  return file === undefined ? Effect.succeed(Effect.void) : Effect.map(withExportedReversal(file), history.accept)
}

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
  const file = fileOf(set, entry)
  if (file === undefined) return yield* nothing(`the file of ${nameOf(entry)} is missing`)
  if (isIntact(entry, file)) return yield* nothing(`the file of ${nameOf(entry)} is as it was applied`)
  yield* recordRepair(context, entry, repair.reason, yield* acceptFile(context, entry), {
    action: "accept-checksum",
    old: { up: entry.up_checksum, down: entry.down_checksum },
    new: checksums(file)
  })
  return { entry, did: `the file is accepted as it is now (${file.up.checksum.slice(0, 12)}…)` }
})

/** Drops the indexes that the failed statement left invalid, and returns their names. */
const dropInvalidIndexes = Effect.fnUntraced(function* (
  { lock, service, session }: RepairContext,
  entry: HistoryEntry,
  file: Revision | undefined
) {
  const { connection } = session
  const left = yield* invalidIndexesLeftBy(connection, entry, file, service).pipe(
    Effect.mapError(session.refuse("listing the indexes that the failed statement left"))
  )
  const drop = Effect.fnUntraced(function* (index: QualifiedName) {
    yield* lock.fence
    yield* connection.query(`drop index concurrently if exists ${quotedName(index)}`, undefined, { deadline: null })
  })
  yield* Effect.forEach(left, drop).pipe(Effect.catchTag("DatabaseError", session.refuse("dropping an invalid index")))
  return left.map(shownName)
})

/** Finishes the detach of a partition that was cut off, and returns the partition's name; null if there is none. */
const finishDetach = Effect.fnUntraced(function* ({ lock, session }: RepairContext, kind: StatementClass | undefined) {
  const { connection } = session
  if (kind?._tag !== "DetachPartition") return null
  const work = Effect.gen(function* () {
    if (!Option.contains(yield* detachState(connection, kind), "pending")) return null
    yield* lock.fence
    // It waits for the transactions that still see the partition, as the cut-off statement did.
    yield* connection.query(finalizeOf(kind), undefined, { deadline: null })
    return shownName(kind.partition)
  })
  return yield* Effect.catchTag(work, "DatabaseError", session.refuse("finishing the detach of a partition"))
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
  const file = fileOf(set, entry)
  // A data revision that failed is corrected in its file and continues with the present one.
  const edited = file !== undefined && entry.kind === "ts" && !isIntact(entry, file) ? file : undefined
  const accepted = edited === undefined ? Effect.void : yield* acceptFile(context, entry)
  // A repair is only recorded if the revision can continue.
  const up_checksum = edited?.up.checksum ?? entry.up_checksum
  const plan = Plan.make(set, [...entries.slice(0, -1), { ...entry, up_checksum }], endOf(entry))
  if (Either.isLeft(plan)) return yield* plan.left
  const changed = yield* changedStatement(entry, file)
  if (changed !== null) {
    const problem = `statement ${changed} of ${nameOf(entry)} differs from the one that ran; restore it`
    return yield* partlyApplied(service, entry, problem)
  }
  const dropped = yield* dropInvalidIndexes(context, entry, file)
  const kind = yield* interruptedStatement(entry, file)
  const detached = yield* finishDetach(context, kind)
  // Without the record that it began, the statement runs again; that fails if it was done after all.
  const work =
    detached !== null
      ? history.stepsBegun(entry.revision, entry.steps_done + 1)
      : isKnownFromCatalog(kind)
        ? Effect.void
        : history.stepsBegun(entry.revision, entry.steps_done)
  yield* recordRepair(context, entry, null, Effect.zipRight(accepted, work), {
    action: "retry",
    dropped,
    ...(detached !== null && { detached }),
    ...stateOf(entry),
    ...(edited && { old: { up: entry.up_checksum, down: entry.down_checksum }, new: checksums(edited) })
  })
  const did =
    edited !== undefined
      ? `continued with the file as it is now (${up_checksum.slice(0, 12)}…)`
      : detached !== null
        ? `finished detaching ${detached} and continued`
        : dropped.length === 0
          ? "continued"
          : `dropped the invalid ${dropped.join(", ")} and continued`
  return { entry, did }
})

/** Does everything under the lock except continuing the revision. Returns what was done. */
const applyRepair = Effect.fn("Migrator.mend")(function* (migrated: MigratedService, repair: Repair) {
  const context = yield* openLocked(migrated)
  const { entries, history, service } = context
  if (repair._tag === "AcceptChecksum") return yield* acceptChecksum(context, repair)
  const entry = halfwayOf(entries)
  if (entry === undefined) return yield* new NothingToRepair({ service, problem: "no revision is half-way" })
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
