import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection, QueryResult } from "../../platform/postgres/Connection.ts"
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

type Queries = Pick<Connection, "query">

/** The query of the whole catalog, as this server can run it. */
const queryFor = (connection: Queries, extent: CatalogExtent): Effect.Effect<string, DatabaseError> =>
  connection.query("select pg_catalog.current_setting('server_version_num')::int as version").pipe(
    Effect.flatMap(({ rows }) => Effect.orDie(decodeVersion(rows))),
    Effect.map(([{ version }]) => queryOf(extent, version))
  )

const snapshotOf = ({ rows }: QueryResult, extent: CatalogExtent): Effect.Effect<CatalogSnapshot> =>
  Effect.map(Effect.orDie(decode(rows)), (objects) => {
    const described = ({ detail, owner }: (typeof objects)[number]): string =>
      owner === null || extent === "structure" ? detail : `owner ${owner}${detail === "" ? "" : `, ${detail}`}`
    return new Map(objects.map((one) => [one.object, described(one)]))
  })

/**
 * Reads the whole catalog except PostgreSQL's own part. Names are complete only if the session's `search_path` is empty. Equal
 * schemas have equal snapshots; data and the order of columns do not count.
 */
export const readCatalog = (
  connection: Queries,
  extent: CatalogExtent = "database"
): Effect.Effect<CatalogSnapshot, DatabaseError> =>
  queryFor(connection, extent).pipe(
    Effect.flatMap((text) => connection.query(text)),
    Effect.flatMap((result) => snapshotOf(result, extent))
  )

/** As `readCatalog`, for a session that reads it often: to parse and plan the query takes the server as long as to run it. */
export const prepareCatalog = (
  connection: Queries,
  extent: CatalogExtent
): Effect.Effect<Effect.Effect<CatalogSnapshot, DatabaseError>, DatabaseError> =>
  queryFor(connection, extent).pipe(
    Effect.flatMap((text) => connection.query(`prepare catalog as ${text}`)),
    Effect.as(Effect.flatMap(connection.query("execute catalog"), (result) => snapshotOf(result, extent)))
  )

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
