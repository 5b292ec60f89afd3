import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { migrate } from "../apply/Migrate.ts"
import type { MigrationSession } from "../apply/Session.ts"
import { otherHistoryTables } from "../apply/UnadoptedSchema.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import {
  type CatalogDifference,
  type CatalogSnapshot,
  compareCatalogs,
  readCatalog
} from "../inspect/CatalogSnapshot.ts"
import { catalogReader, inDatabase, openScratch } from "../inspect/ScratchDatabase.ts"
import { Target } from "../plan/Target.ts"

const longestList = 40

const shown = ({ after, before, object }: CatalogDifference): string =>
  before === null
    ? `+ ${object}`
    : after === null
      ? `- ${object}`
      : `~ ${object}\n      described: ${before}\n      here:      ${after}`

const accept = (service: ServiceName, target: string): string =>
  `To record it all the same: pnpm migrate --service ${service} stamp ${target} --accept-differences --reason "<why>"`

/** The schema is not what the revisions describe. */
export class StampDiffers extends Schema.TaggedError<StampDiffers>()("StampDiffers", {
  service: ServiceName,
  target: Schema.String,
  /** Without password. */
  address: Schema.String,
  /** `+`: only here. `-`: missing here. `~`: described otherwise. */
  differences: Schema.Array(Schema.String)
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    const { address, differences, service, target } = this
    const lines = differences.slice(0, longestList).map((line) => `  ${line}`)
    const more = differences.length - lines.length
    return (
      `${service}: the schema ${service} at ${address} is not what the revisions up to ${target} make ` +
      `(+ only here, - missing here, ~ differs); nothing was stamped:\n${lines.join("\n")}` +
      `${more > 0 ? `\n  and ${more} more` : ""}\n` +
      `Stamp the revision that it is at, or make it equal. ${accept(service, target)}`
    )
  }
}

/** The schema could not be compared with what the revisions describe. */
export class StampNotCompared extends Schema.TaggedError<StampNotCompared>()("StampNotCompared", {
  service: ServiceName,
  target: Schema.String,
  reason: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    const { reason, service, target } = this
    return (
      `${service}: a stamp compares the schema with a scratch database at ${target}, which could not be made; nothing was ` +
      `stamped: ${reason}\n${accept(service, target)}`
    )
  }
}

/** True for the objects of a service's schema, by the names that a snapshot gives them. History of other tools does not count. */
const isOfSchema = (service: ServiceName) => {
  const within = new RegExp(`(^|[ (,])${service}\\.`)
  const others = new RegExp(`(^|[ (,])${service}\\."?(${otherHistoryTables.join("|")})`)
  return (object: string): boolean => object === `schema ${service}` || (within.test(object) && !others.test(object))
}

/** The catalogs of a scratch database before and after all `revisions`. */
const scratchCatalogs = Effect.fnUntraced(function* (service: MigratedService, revisions: ReadonlyArray<Revision>) {
  const { url } = yield* openScratch(service.name, revisions)
  return yield* Effect.gen(function* () {
    const structure = yield* catalogReader(service.name, { url, extent: "structure" })
    const empty = yield* structure
    yield* migrate(service, Target.UpTo({ number: revisions.length, slug: null }))
    return { empty, full: yield* structure }
  }).pipe(
    inDatabase(url),
    // These revisions are not those of the schema that is stamped.
    Logger.withMinimumLogLevel(LogLevel.Warning)
  )
}, Effect.scoped)

const restricted = (catalog: CatalogSnapshot, isCompared: (object: string) => boolean): CatalogSnapshot =>
  new Map([...catalog].filter(([object]) => isCompared(object)))

/**
 * Lists how the service's schema differs from a scratch database in which `revisions` ran. Compared are the structure of the schema
 * and what else the revisions make; owners, privileges, comments and partitions are not.
 */
export const differencesFrom = Effect.fn("Migrator.compareStamp")(function* (
  service: MigratedService,
  session: MigrationSession,
  revisions: ReadonlyArray<Revision>
) {
  const last = revisions.at(-1)
  if (last === undefined) return []
  const target = revisionName(last.number, last.slug)
  const { empty, full } = yield* Effect.mapError(
    scratchCatalogs(service, revisions),
    ({ message }) => new StampNotCompared({ service: service.name, target, reason: message })
  )
  const present = yield* Effect.mapError(
    readCatalog(session.connection, "structure"),
    session.refuse("reading the catalog")
  )
  const isOurs = isOfSchema(service.name)
  const isCompared = (object: string) => isOurs(object) || (full.has(object) && full.get(object) !== empty.get(object))
  const differences: ReadonlyArray<string> = compareCatalogs(
    restricted(full, isCompared),
    restricted(present, isCompared)
  ).map(shown)
  return differences
})

/** Lists as a difference that the schema could not be compared. */
export const withoutRefusal = <E, R>(compared: Effect.Effect<ReadonlyArray<string>, E | StampNotCompared, R>) =>
  Effect.catchIf(
    compared,
    (error) => error instanceof StampNotCompared,
    ({ reason }) => Effect.succeed<ReadonlyArray<string>>([`not compared: ${reason}`])
  )
