import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { withExportedReversal } from "../apply/DataStep.ts"
import { interruptedStatement, invalidIndexesLeftBy, isKnownFromCatalog } from "../apply/InvalidIndexes.ts"
import { lockSchema } from "../apply/LockedSchema.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { changedSince } from "../apply/NonTransactionalStep.ts"
import type { LockLost } from "../apply/SchemaLock.ts"
import type { DataRevisionUnreadable } from "../files/DataModule.ts"
import { quotedName, shownName } from "../files/ParseTree.ts"
import type { Revision } from "../files/Revision.ts"
import { parseStoredDown } from "../files/RevisionFile.ts"
import { splitStatements } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { halfwayOf, isIntact, nameOf, partlyApplied } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import { Target } from "../plan/Target.ts"

/** What to do about it. `reason` goes into schema_event, for those who come later. */
export type Repair = Data.TaggedEnum<{
  /** Drop what the failed statement left, and go on. */
  Retry: Readonly<Record<never, never>>
  MarkApplied: { readonly reason: string }
  MarkReverted: { readonly reason: string }
  /** Record the file of a revision as it is now. */
  AcceptChecksum: { readonly number: number; readonly slug: string | null; readonly reason: string }
}>
export const Repair = Data.taggedEnum<Repair>()

/** What was asked for does not fit what is there. */
export class NothingToRepair extends Schema.TaggedError<NothingToRepair>()("NothingToRepair", {
  service: ServiceName,
  problem: Schema.String
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    return (
      `${this.service}: ${this.problem}; nothing was changed. ` +
      `What is wrong, and what fits: pnpm migrate --service ${this.service} repair`
    )
  }
}

export interface RepairOutcome {
  readonly service: ServiceName
  readonly revision: string
  /** Completes "0002_x: …". */
  readonly did: string
  readonly current: string
}

/** The file of an entry, where it is here. */
const fileOf = (revisions: ReadonlyArray<Revision>, entry: HistoryEntry): Option.Option<Revision> =>
  Option.filter(
    Option.fromNullable(revisions[entry.revision - 1]),
    ({ kind, slug }) => slug === entry.slug && kind === entry.kind
  )

const checksums = (revision: Revision) => ({
  up: revision.up.checksum,
  down: revision.reversal._tag === "Down" ? revision.reversal.section.checksum : null
})

/** Where `Retry` goes on to. */
const endOf = ({ revision, state }: HistoryEntry): Target =>
  state === "reverting"
    ? Target.DownTo({ number: revision - 1, slug: null })
    : Target.UpTo({ number: revision, slug: null })

/** The number of the first statement of an SQL revision that ran and is not in its file any more; null: none, or unreadable. */
const changedStatement = (entry: HistoryEntry, file: Option.Option<Revision>): Effect.Effect<number | null> =>
  Effect.gen(function* () {
    if (entry.kind === "ts") return null
    const section =
      entry.state === "applying"
        ? Option.map(file, ({ up }) => up)
        : Option.flatMap(Option.fromNullable(entry.down_script), parseStoredDown)
    if (Option.isNone(section)) return null
    const statements = yield* Effect.option(splitStatements(section.value))
    return Option.isNone(statements)
      ? null
      : changedSince(entry, { section: section.value, statements: statements.value })
  })

/** Everything but the going on, under the lock. Answers what was done. */
const applyRepair = Effect.fn("Migrator.mend")(function* (service: ServiceName, repair: Repair) {
  const { history, session, set } = yield* openSchema(service)
  const { connection } = session
  const { entries, lock } = yield* lockSchema({ service, session, history, adopt: false })
  const nothing = (problem: string) => new NothingToRepair({ service, problem })
  const recorded = (
    entry: HistoryEntry,
    reason: string | null,
    work: Effect.Effect<unknown, DatabaseError>,
    details: object
  ) =>
    connection
      .transaction(Effect.all([lock.fence, work, history.event("repaired", entry, reason, details)], { discard: true }))
      .pipe(Effect.catchTag("DatabaseError", (cause) => session.refuse("recording the repair")(cause)))
  const accept = (entry: HistoryEntry): Effect.Effect<Effect.Effect<unknown, DatabaseError>, DataRevisionUnreadable> =>
    Option.match(fileOf(set.revisions, entry), {
      onNone: () => Effect.succeed(Effect.void),
      onSome: (revision) => Effect.map(withExportedReversal(revision), history.accept)
    })

  if (repair._tag === "AcceptChecksum") {
    const entry = entries.find(({ revision }) => revision === repair.number)
    if (entry === undefined || (repair.slug !== null && repair.slug !== entry.slug)) {
      return yield* nothing(`revision ${repair.number} is not applied here under that name`)
    }
    const file = fileOf(set.revisions, entry)
    if (Option.isNone(file)) return yield* nothing(`the file of ${nameOf(entry)} is not here`)
    if (isIntact(entry, file.value)) return yield* nothing(`the file of ${nameOf(entry)} is as it was applied`)
    yield* recorded(entry, repair.reason, yield* accept(entry), {
      action: "accept-checksum",
      old: { up: entry.up_checksum, down: entry.down_checksum },
      new: checksums(file.value)
    })
    return { entry, did: `the file is accepted as it is now (${file.value.up.checksum.slice(0, 12)}…)` }
  }

  const last = halfwayOf(entries)
  if (Option.isNone(last)) return yield* nothing("no revision is half-way")
  const entry = last.value
  const was = { from: entry.state, stepsDone: entry.steps_done, stepsTotal: entry.steps_total }
  if (repair._tag === "MarkApplied") {
    const work = Effect.zipRight(yield* accept(entry), history.finish(entry.revision))
    yield* recorded(entry, repair.reason, work, { action: "mark-applied", ...was })
    return { entry, did: "recorded as applied" }
  }
  if (repair._tag === "MarkReverted") {
    yield* recorded(entry, repair.reason, history.remove(entry.revision), { action: "mark-reverted", ...was })
    return { entry, did: "recorded as not applied" }
  }
  const file = fileOf(set.revisions, entry)
  // A data revision that failed is mended in its file, and goes on with it as it is now.
  const edited = Option.filter(file, (revision) => entry.kind === "ts" && !isIntact(entry, revision))
  const accepted = Option.isSome(edited) ? yield* accept(entry) : Effect.void
  // Nothing is recorded as repaired that cannot go on.
  const up_checksum = Option.match(edited, { onNone: () => entry.up_checksum, onSome: ({ up }) => up.checksum })
  const plan = Plan.make(set, [...entries.slice(0, -1), { ...entry, up_checksum }], endOf(entry))
  if (Either.isLeft(plan)) return yield* plan.left
  const changed = yield* changedStatement(entry, file)
  if (changed !== null) {
    const problem = `statement ${changed} of ${nameOf(entry)} is not the one that ran; restore it`
    return yield* partlyApplied(service, entry, problem)
  }
  const left = yield* invalidIndexesLeftBy(connection, entry, file, service).pipe(
    Effect.mapError(session.refuse("looking for what the failed statement left"))
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
  const dropped = left.map(shownName)
  // To forget that a statement was begun is to run it again, which fails where it was done after all.
  const told = Option.exists(yield* interruptedStatement(entry, file), isKnownFromCatalog)
  const work = told ? Effect.void : history.stepsBegun(entry.revision, entry.steps_done)
  yield* recorded(entry, null, Effect.zipRight(accepted, work), {
    action: "retry",
    dropped,
    ...was,
    ...Option.match(edited, {
      onNone: () => ({}),
      onSome: (revision) => ({ old: { up: entry.up_checksum, down: entry.down_checksum }, new: checksums(revision) })
    })
  })
  if (Option.isSome(edited)) {
    return { entry, did: `went on with the file as it is now (${edited.value.up.checksum.slice(0, 12)}…)` }
  }
  return { entry, did: dropped.length === 0 ? "went on" : `dropped the invalid ${dropped.join(", ")} and went on` }
}, Effect.scoped)

/** Mends what stopped half-way or was edited, with a record of who, when and why; `Retry` then goes on to the revision's end. */
export const repair = Effect.fn("Migrator.repair")(function* (service: ServiceName, repair: Repair) {
  const { did, entry } = yield* applyRepair(service, repair)
  if (repair._tag === "Retry") yield* migrate(service, endOf(entry))
  const { entries } = yield* openSchema(service)
  const repaired: RepairOutcome = { service, revision: nameOf(entry), did, current: Plan.currentOf(entries).name }
  return repaired
}, Effect.scoped)
