import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { annotationQueries } from "./AnnotationQueries.ts"
import { objectQueries } from "./ObjectQueries.ts"
import { relationQueries } from "./RelationQueries.ts"

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
