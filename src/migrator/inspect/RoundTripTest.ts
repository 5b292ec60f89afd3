import * as Effect from "effect/Effect"
import { migrate, openSchema } from "../apply/Migrate.ts"
import type { DatabaseRefusal } from "../apply/Session.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { withMigratorOptions } from "../MigratorOptions.ts"
import { Target } from "../plan/Target.ts"
import { type CatalogDifference, type CatalogSnapshot, compareCatalogs } from "./CatalogSnapshot.ts"
import { catalogReader, inDatabase, openScratch } from "./ScratchDatabase.ts"

const named = ({ number, slug }: Revision) => ({ number, slug })

/** Applies, reverts and applies one revision again in a database that is at the revision before it, with the catalog `before`. */
const testRoundTrip = Effect.fnUntraced(function* (
  service: MigratedService,
  revision: Revision,
  readCatalog: Effect.Effect<CatalogSnapshot, DatabaseRefusal>,
  before: CatalogSnapshot
) {
  const apply = Effect.zipRight(migrate(service, Target.UpTo(named(revision))), readCatalog)
  const name = revisionName(revision.number, revision.slug)
  const up = yield* apply
  const { entries } = yield* Effect.scoped(openSchema(service))
  const irreversible = entries.find((entry) => entry.revision === revision.number)?.irreversible_reason ?? null
  const result = (afterDown: ReadonlyArray<CatalogDifference>, afterSecondUp: ReadonlyArray<CatalogDifference>) => ({
    revision: name,
    /** Why it is irreversible; then only the upgrade was tested. */
    irreversible,
    /** `+`: the downgrade left the object. `-`: the downgrade removed too much. */
    afterDown,
    /** How the second upgrade differs from the first. */
    afterSecondUp
  })
  if (irreversible !== null) return { tested: result([], []), catalog: up }
  yield* migrate(service, Target.DownTo({ number: revision.number - 1, slug: null }))
  const down = yield* readCatalog
  const again = yield* apply
  return { tested: result(compareCatalogs(before, down), compareCatalogs(up, again)), catalog: again }
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
    yield* migrate(service, Target.DownTo({ number: 0, slug: null }))
    const revisions: Array<RevisionRoundTrip> = []
    let before = yield* readCatalog
    for (const revision of set.revisions) {
      const { catalog, tested } = yield* testRoundTrip(service, revision, readCatalog, before)
      revisions.push(tested)
      before = catalog
    }
    return { service: service.name, revisions, serverWide }
  })
  // A scratch database only has rows that the revisions inserted themselves.
  return yield* tests.pipe(withMigratorOptions({ allowDataLoss: true }), inDatabase(url))
}, Effect.scoped)

export type RoundTripTest = Effect.Effect.Success<ReturnType<typeof testRoundTrips>>
