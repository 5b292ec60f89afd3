import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { loadRevisionSet } from "../files/MigrationFiles.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { Target } from "../plan/Target.ts"
import { type CatalogDifference, compareCatalogs, readCatalog } from "./CatalogSnapshot.ts"
import { inDatabase, scratchDatabase } from "./ScratchDatabase.ts"

/** How one revision went up, down and up again. */
export interface RevisionRoundTrip {
  readonly revision: string
  /** Why there is no way back; then only up was tried. */
  readonly irreversible: string | null
  /** `+`: the down left it behind. `-`: the down took too much. */
  readonly afterDown: ReadonlyArray<CatalogDifference>
  /** What the second up made otherwise than the first. */
  readonly afterSecondUp: ReadonlyArray<CatalogDifference>
}

export interface RoundTripTest {
  readonly service: ServiceName
  readonly revisions: ReadonlyArray<RevisionRoundTrip>
}

const catalogOf = (service: ServiceName) =>
  Effect.scoped(
    Effect.flatMap(openSchema(service), ({ session }) =>
      Effect.mapError(readCatalog(session.connection), session.refuse("reading the catalog"))
    )
  )

const named = ({ number, slug }: Revision) => ({ number, slug })

/** Up, down and up again in the database at hand, which stands before `revision`; leaves it after it. */
const testRoundTrip = (service: ServiceName, revision: Revision) =>
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
    const trial: RevisionRoundTrip = {
      revision: name,
      irreversible: null,
      afterDown: compareCatalogs(before, down),
      afterSecondUp: compareCatalogs(up, again)
    }
    return trial
  })

/**
 * Runs every revision of a service up, down and up again in a scratch database, and compares the catalog after each. The
 * first whose statements fail ends the trial with that failure.
 */
export const testRoundTrips = Effect.fn("Migrator.test")(function* (service: ServiceName) {
  const set = yield* loadRevisionSet(service)
  const scratch = yield* scratchDatabase(service)
  const options = yield* MigratorOptions
  return yield* migrate(service, Target.DownTo({ number: 0, slug: null })).pipe(
    Effect.zipRight(Effect.forEach(set.revisions, (revision) => testRoundTrip(service, revision))),
    Effect.map((revisions): RoundTripTest => ({ service, revisions })),
    // There is nothing to lose in a scratch database but what the revisions put there themselves.
    Effect.provideService(MigratorOptions, { ...options, allowDataLoss: true }),
    inDatabase(scratch)
  )
}, Effect.scoped)
