import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { annotationQueries, objectQueries, relationQueries } from "./CatalogQueries.ts"

/** The objects of a database: the description of each, by name. */
export type CatalogSnapshot = ReadonlyMap<string, string>

const query = [...relationQueries, ...objectQueries, ...annotationQueries].join("\nunion all\n")

const decode = Schema.decodeUnknown(Schema.Array(Schema.Struct({ object: Schema.String, detail: Schema.String })))

/**
 * Reads the whole catalog except PostgreSQL's own part. Names are complete only if the session's `search_path` is empty. Equal
 * schemas have equal snapshots; data and the order of columns do not count.
 */
export const readCatalog = (connection: Connection): Effect.Effect<CatalogSnapshot, DatabaseError> =>
  connection.query(query).pipe(
    Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))),
    Effect.map((rows) => new Map(rows.map(({ detail, object }) => [object, detail])))
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

/** Formats a difference: `+ table router.a` for a new object, `-` for a removed one, `~` for a changed one. */
export const showDifference = ({ after, before, object }: CatalogDifference): string =>
  before === null
    ? `+ ${object}`
    : after === null
      ? `- ${object}`
      : `~ ${object}\n    before: ${before}\n    after:  ${after}`
