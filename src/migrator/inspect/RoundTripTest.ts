import * as Effect from "effect/Effect"
import { type LockedSchema, openSchema, prepareSteps, runPlan } from "../apply/Migrate.ts"
import { makeNoticeLog } from "../apply/Notices.ts"
import { lockSchema } from "../apply/SchemaLock.ts"
import type { DatabaseRefusal } from "../apply/Session.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { loadRevisionSet, type MigratedService, type RevisionSet } from "../files/RevisionSet.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { withMigratorOptions } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import { Target } from "../plan/Target.ts"
import { type CatalogDifference, type CatalogSnapshot, compareCatalogs } from "./CatalogSnapshot.ts"
import { catalogReader, inDatabase, openScratch } from "./ScratchDatabase.ts"

/** A scratch database, in one session under one lock: what a test costs then grows with its revisions, not with their square. */
interface TestedSchema extends LockedSchema {
  readonly set: RevisionSet
  readonly readCatalog: Effect.Effect<CatalogSnapshot, DatabaseRefusal>
}

/** Runs what an upgrade or a downgrade to `target` would run from `entries`, the history as it is. */
const run = Effect.fnUntraced(function* (tested: TestedSchema, entries: ReadonlyArray<HistoryEntry>, target: Target) {
  const plan = yield* Plan.make(tested.set, entries, target)
  yield* Effect.scoped(Effect.flatMap(makeNoticeLog, (notices) => runPlan({ ...tested, entries }, plan, notices)))
  return yield* tested.readCatalog
})

/**
 * Applies, reverts and applies one revision again in a database that is at the revision before it, with the history `entries` and
 * the catalog `before`.
 */
const testRoundTrip = Effect.fnUntraced(function* (
  tested: TestedSchema,
  { number, slug }: Revision,
  entries: ReadonlyArray<HistoryEntry>,
  before: CatalogSnapshot
) {
  const { history, session } = tested
  const apply = Effect.gen(function* () {
    const catalog = yield* run(tested, entries, Target.UpTo({ number, slug }))
    const entry = yield* Effect.mapError(history.entry(number), session.refuse("reading the migration history"))
    return { catalog, entries: entry === undefined ? entries : [...entries, entry], entry }
  })
  const up = yield* apply
  const irreversible = up.entry?.irreversible_reason ?? null
  const result = (afterDown: ReadonlyArray<CatalogDifference>, afterSecondUp: ReadonlyArray<CatalogDifference>) => ({
    revision: revisionName(number, slug),
    /** Why it is irreversible; then only the upgrade was tested. */
    irreversible,
    /** `+`: the downgrade left the object. `-`: the downgrade removed too much. */
    afterDown,
    /** How the second upgrade differs from the first. */
    afterSecondUp
  })
  if (irreversible !== null) return { ...up, tested: result([], []) }
  const down = yield* run(tested, up.entries, Target.DownTo({ number: number - 1, slug: null }))
  const again = yield* apply
  return { ...again, tested: result(compareCatalogs(before, down), compareCatalogs(up.catalog, again.catalog)) }
})

/** The result of applying, reverting and applying one revision again. */
export type RevisionRoundTrip = Effect.Effect.Success<ReturnType<typeof testRoundTrip>>["tested"]

/** Tests every revision of a service in a scratch database. The first statement that fails ends the test. */
export const testRoundTrips = Effect.fn("Migrator.test")(function* (service: MigratedService) {
  const set = yield* loadRevisionSet(service)
  const scratch = yield* openScratch(service.name, set.revisions)
  const { serverWide, url } = scratch
  const readCatalog = yield* catalogReader(service.name, scratch)
  const tests = Effect.gen(function* () {
    const locked = yield* lockSchema(yield* openSchema(service))
    const tested = { ...locked, set, readCatalog }
    const { steps } = yield* Plan.make(set, [], Target.Head())
    yield* prepareSteps(locked.session, service.name, steps, steps)
    const revisions: Array<RevisionRoundTrip> = []
    let before = yield* readCatalog
    let entries: ReadonlyArray<HistoryEntry> = []
    for (const revision of set.revisions) {
      const trip = yield* testRoundTrip(tested, revision, entries, before)
      revisions.push(trip.tested)
      before = trip.catalog
      entries = trip.entries
    }
    return { service: service.name, revisions, serverWide }
  }).pipe(Effect.scoped)
  // A scratch database only has rows that the revisions inserted themselves.
  return yield* tests.pipe(withMigratorOptions({ allowDataLoss: true }), inDatabase(url))
}, Effect.scoped)

export type RoundTripTest = Effect.Effect.Success<ReturnType<typeof testRoundTrips>>
