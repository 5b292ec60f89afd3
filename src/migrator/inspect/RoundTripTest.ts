import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import { connect } from "../../platform/postgres/Connection.ts"
import { Database, displayAddress } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { migrate, openSchema } from "../apply/Migrate.ts"
import { databaseRefusal } from "../apply/Session.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { withMigratorOptions } from "../MigratorOptions.ts"
import { Target } from "../plan/Target.ts"
import { compareCatalogs, readCatalog } from "./CatalogSnapshot.ts"

const refused = (service: ServiceName, url: Redacted.Redacted) => (cause: DatabaseError) => {
  const remedy =
    cause.sqlstate === "42501"
      ? "The role must be allowed to create databases: alter role <role> createdb; or name another with --database-url"
      : `Check PostgreSQL there, then: pnpm migrate --service ${service} test`
  return databaseRefusal(service, displayAddress(url), "creating a scratch database", remedy)(cause)
}

/**
 * Creates an empty database with a random name beside the service's own, on the same server with the same role. It is dropped with
 * its sessions when the scope closes, also after an interruption. It copies template0, which no session can have open.
 */
const scratchDatabase = Effect.fnUntraced(function* (service: ServiceName) {
  const url = (yield* Database).url(service, "migration")
  const name = `gravitas_scratch_${randomUUID().replaceAll("-", "").slice(0, 16)}`
  const administer = (statement: string) =>
    connect({ url, applicationName: "gravitas migrate test" }).pipe(
      Effect.flatMap((connection) => connection.query(statement)),
      Effect.scoped
    )
  yield* Effect.acquireRelease(
    Effect.mapError(administer(`create database ${name} template template0`), refused(service, url)),
    () =>
      administer(`drop database if exists ${name} with (force)`).pipe(
        // The timeout also runs it in a new fiber: connecting would not work in one that is already interrupted.
        Effect.timeoutFail({
          duration: "10 seconds",
          onTimeout: () => new DatabaseError({ phase: "statement", reason: "no answer within 10s" })
        }),
        Effect.catchAll(({ message }) =>
          Effect.logWarning(
            `the scratch database ${name} could not be dropped (${message}); as its owner: drop database ${name}`
          )
        )
      )
  )
  const scratch = new URL(Redacted.value(url))
  scratch.pathname = `/${name}`
  return Redacted.make(scratch.href)
})

const noPool = () => {
  throw new Error("a scratch database has no application pool")
}

/** Runs an effect with `url` as the database of every service and purpose. It has no application pool. */
const inDatabase =
  (url: Redacted.Redacted) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Database>> =>
    Effect.provideService(effect, Database, {
      url: () => url,
      address: () => displayAddress(url),
      pool: noPool,
      query: noPool,
      readers: noPool
    })

const catalogOf = (service: MigratedService) =>
  Effect.scoped(
    Effect.flatMap(openSchema(service), ({ session }) =>
      Effect.mapError(readCatalog(session.connection), session.refuse("reading the catalog"))
    )
  )

const named = ({ number, slug }: Revision) => ({ number, slug })

/** Applies, reverts and applies one revision again in a database that is at the revision before it. */
const testRoundTrip = Effect.fnUntraced(function* (service: MigratedService, revision: Revision) {
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
  return {
    revision: name,
    /** Why it is irreversible; then only the upgrade was tested. */
    irreversible,
    /** `+`: the downgrade left the object. `-`: the downgrade removed too much. */
    afterDown: compareCatalogs(before, down),
    /** How the second upgrade differs from the first. */
    afterSecondUp: compareCatalogs(up, again)
  }
})

/** The result of applying, reverting and applying one revision again. */
export type RevisionRoundTrip = Effect.Effect.Success<ReturnType<typeof testRoundTrip>>

/** Tests every revision of a service in a scratch database. The first statement that fails ends the test. */
export const testRoundTrips = Effect.fn("Migrator.test")(function* (service: MigratedService) {
  const set = yield* loadRevisionSet(service)
  const scratch = yield* scratchDatabase(service.name)
  return yield* migrate(service, Target.DownTo({ number: 0, slug: null })).pipe(
    Effect.zipRight(Effect.forEach(set.revisions, (revision) => testRoundTrip(service, revision))),
    Effect.map((revisions) => ({ service: service.name, revisions })),
    // A scratch database only has rows that the revisions inserted themselves.
    withMigratorOptions({ allowDataLoss: true }),
    inDatabase(scratch)
  )
}, Effect.scoped)

export type RoundTripTest = Effect.Effect.Success<ReturnType<typeof testRoundTrips>>
