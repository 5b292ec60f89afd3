import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { annotationQueries, objectQueries, relationQueries } from "./CatalogQueries.ts"

/** What a database is made of: each object by its name, with what it is like. */
export type CatalogSnapshot = ReadonlyMap<string, string>

const query = [...relationQueries, ...objectQueries, ...annotationQueries].join("\nunion all\n")

const decode = Schema.decodeUnknown(Schema.Array(Schema.Struct({ object: Schema.String, detail: Schema.String })))

/**
 * Reads the whole catalog but PostgreSQL's own part. Names are complete as long as the session's `search_path` is empty.
 * Two databases, or one at two times, that were made alike have equal snapshots; data and the order of columns don't count.
 */
export const readCatalog = (connection: Connection): Effect.Effect<CatalogSnapshot, DatabaseError> =>
  connection.query(query).pipe(
    Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))),
    Effect.map((rows) => new Map(rows.map(({ detail, object }) => [object, detail])))
  )

/** One object in which two snapshots differ; `before` or `after` is null where it was not there. */
export interface CatalogDifference {
  readonly object: string
  readonly before: string | null
  readonly after: string | null
}

/** What differs, by object. Empty: the same catalog. */
export const compareCatalogs = (before: CatalogSnapshot, after: CatalogSnapshot): ReadonlyArray<CatalogDifference> =>
  [...new Set([...before.keys(), ...after.keys()])]
    .map((object) => ({ object, before: before.get(object) ?? null, after: after.get(object) ?? null }))
    .filter((one) => one.before !== one.after)
    .sort((a, b) => (a.object < b.object ? -1 : 1))

/** `+ table router.a`: there now and not before. `-`: there before. `~`: there both times, but not alike. */
export const showDifference = ({ after, before, object }: CatalogDifference): string =>
  before === null
    ? `+ ${object}`
    : after === null
      ? `- ${object}`
      : `~ ${object}\n    before: ${before}\n    after:  ${after}`
