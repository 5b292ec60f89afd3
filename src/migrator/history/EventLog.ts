import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** One row of `<service>.schema_event`, of any form of that table. */
export const SchemaEvent = Schema.Struct({
  at: Schema.ValidDateFromSelf,
  event: Schema.String,
  revision: Schema.NullOr(Schema.Number),
  slug: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  done_by: Schema.String,
  app_version: Schema.String
})
export type SchemaEvent = typeof SchemaEvent.Type

const decode = Schema.decodeUnknown(Schema.Array(SchemaEvent))

/** Everything that the migrator ever did to a schema, oldest first. */
export const readEvents = (
  connection: Connection,
  service: ServiceName
): Effect.Effect<ReadonlyArray<SchemaEvent>, DatabaseError> =>
  connection
    .query(`select at, event, revision, slug, reason, done_by, app_version from ${service}.schema_event order by id`)
    .pipe(Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))))
