import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { loadRevisionSet, type MigratedService } from "../files/MigrationFiles.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { Target } from "../plan/Target.ts"
import { type CatalogDifference, compareCatalogs, readCatalog } from "./CatalogSnapshot.ts"
import { inDatabase, scratchDatabase } from "./ScratchDatabase.ts"

/** The result of applying, reverting and applying one revision again. */
export interface RevisionRoundTrip {
  readonly revision: string
  /** Why it is irreversible; then only the upgrade was tested. */
  readonly irreversible: string | null
  /** `+`: the downgrade left the object. `-`: the downgrade removed too much. */
  readonly afterDown: ReadonlyArray<CatalogDifference>
  /** How the second upgrade differs from the first. */
  readonly afterSecondUp: ReadonlyArray<CatalogDifference>
}

export interface RoundTripTest {
  readonly service: ServiceName
  readonly revisions: ReadonlyArray<RevisionRoundTrip>
}

const catalogOf = (service: MigratedService) =>
  Effect.scoped(
    Effect.flatMap(openSchema(service), ({ session }) =>
      Effect.mapError(readCatalog(session.connection), session.refuse("reading the catalog"))
    )
  )

const named = ({ number, slug }: Revision) => ({ number, slug })

/** Applies, reverts and applies one revision again in a database that is at the revision before it. */
const testRoundTrip = (service: MigratedService, revision: Revision) =>
  Effect.gen(function* () {
    const to = (number: number) => migrate(service, Target.DownTo({ number, slug: null }))
    const name = revisionName(revision.number, revision.slug)
    const before = yield* catalogOf(service)
    yield* migrate(service, Target.UpTo(named(revision)))
    const { entries } = yield* Effect.scoped(openSchema(service))
    const irreversible = entries.find((entry) => entry.revision === revision.number)?.irreversible_reason ?? null
    if (irreversible !== null) return { revision: name, irreversible, afterDown: [], afterSecondUp: [] }
    const up = yield* catalogOf(service)
    yield* to(revision.number - 1)
    const down = yield* catalogOf(service)
    yield* migrate(service, Target.UpTo(named(revision)))
    const again = yield* catalogOf(service)
    const result: RevisionRoundTrip = {
      revision: name,
      irreversible: null,
      afterDown: compareCatalogs(before, down),
      afterSecondUp: compareCatalogs(up, again)
    }
    return result
  })

/**
 * Applies, reverts and applies every revision of a service again in a scratch database, and compares the catalogs. The first
 * statement that fails ends the test with that failure.
 */
export const testRoundTrips = Effect.fn("Migrator.test")(function* (service: MigratedService) {
  const set = yield* loadRevisionSet(service)
  const scratch = yield* scratchDatabase(service.name)
  const options = yield* MigratorOptions
  return yield* migrate(service, Target.DownTo({ number: 0, slug: null })).pipe(
    Effect.zipRight(Effect.forEach(set.revisions, (revision) => testRoundTrip(service, revision))),
    Effect.map((revisions): RoundTripTest => ({ service: service.name, revisions })),
    // A scratch database only has rows that the revisions inserted themselves.
    Effect.provideService(MigratorOptions, { ...options, allowDataLoss: true }),
    inDatabase(scratch)
  )
}, Effect.scoped)
