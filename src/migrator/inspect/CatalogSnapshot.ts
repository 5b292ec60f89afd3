import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { annotationQueries } from "./AnnotationCatalog.ts"
import { objectQueries } from "./ObjectCatalog.ts"
import { relationQueries } from "./RelationCatalog.ts"
import { serverQueries } from "./ServerCatalog.ts"

/** The objects of a database: the description of each, by name. */
export type CatalogSnapshot = ReadonlyMap<string, string>

/**
 * What is compared.
 *
 * - `structure`: objects without owners, privileges, comments and partitions, which differ between databases that are alike.
 * - `database`: everything in the database.
 * - `server`: also what the databases of a server share, such as roles. For a server that has no other user.
 */
export type CatalogExtent = "structure" | "database" | "server"

const structureQueries = [...relationQueries, ...objectQueries]
const databaseQueries = [...structureQueries, ...annotationQueries]
const queriesOf = {
  structure: structureQueries,
  database: databaseQueries,
  server: [...databaseQueries, ...serverQueries]
}

const queryOf = (extent: CatalogExtent, version: number): string =>
  queriesOf[extent]
    .map((query) => query({ version, partitions: extent !== "structure" }))
    .filter((text) => text !== "")
    .join("\nunion all\n")

const decode = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ object: Schema.String, detail: Schema.String, owner: Schema.NullOr(Schema.String) }))
)
const decodeVersion = Schema.decodeUnknown(Schema.NonEmptyArray(Schema.Struct({ version: Schema.Number })))

/**
 * Reads the whole catalog except PostgreSQL's own part. Names are complete only if the session's `search_path` is empty. Equal
 * schemas have equal snapshots; data and the order of columns do not count.
 */
export const readCatalog = Effect.fnUntraced(function* (
  connection: Pick<Connection, "query">,
  extent: CatalogExtent = "database"
): Effect.fn.Return<CatalogSnapshot, DatabaseError> {
  const { rows: settings } = yield* connection.query(
    "select pg_catalog.current_setting('server_version_num')::int as version"
  )
  const [{ version }] = yield* Effect.orDie(decodeVersion(settings))
  const { rows } = yield* connection.query(queryOf(extent, version))
  const objects = yield* Effect.orDie(decode(rows))
  const described = ({ detail, owner }: (typeof objects)[number]) =>
    [owner === null || extent === "structure" ? [] : `owner ${owner}`, detail === "" ? [] : detail].flat().join(", ")
  return new Map(objects.map((one) => [one.object, described(one)]))
})

/** An object in which two snapshots differ; `before` or `after` is null where it did not exist. */
export interface CatalogDifference {
  readonly object: string
  readonly before: string | null
  readonly after: string | null
}

/** Lists the differences by object; empty if the snapshots are equal. */
export const compareCatalogs = (before: CatalogSnapshot, after: CatalogSnapshot): ReadonlyArray<CatalogDifference> =>
  [...new Set([...before.keys(), ...after.keys()])]
    .map((object) => ({ object, before: before.get(object) ?? null, after: after.get(object) ?? null }))
    .filter((one) => one.before !== one.after)
    .sort((a, b) => (a.object < b.object ? -1 : 1))
