import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { PublicKey } from "../../platform/os/KeyFile.ts"
import { Database } from "../../platform/postgres/Database.ts"

const EnrolledKey = Schema.Struct({
  /** The key's thumbprint (RFC 7638). */
  id: Schema.String,
  /** `guardian`, `router`, `guardian+router`, `gatekeeper`. */
  service: Schema.String,
  x: Schema.String,
  enrolledAt: Schema.DateTimeUtcFromDate,
  enrolledBy: Schema.String,
  withdrawnAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  withdrawnBy: Schema.NullOr(Schema.String)
})
/** A row of `gatekeeper.service_key`. */
export type EnrolledKey = typeof EnrolledKey.Type

const decodeKeys = Schema.decodeUnknown(Schema.Array(EnrolledKey))

/** Which key is of which service. */
export const serviceKeyTable = Effect.map(Database, (database) => {
  const sql = database.pool("gatekeeper")
  const list = Effect.flatMap(
    sql`
      select key_id as id, service, public_key as x, enrolled_at as "enrolledAt", enrolled_by as "enrolledBy",
        withdrawn_at as "withdrawnAt", withdrawn_by as "withdrawnBy"
      from gatekeeper.service_key order by service, enrolled_at, key_id`,
    (rows) => Effect.orDie(decodeKeys(rows))
  )
  return {
    /** All keys, also those that were withdrawn. */
    list,
    /** Enrols a key, unless it is known. */
    enrol: (service: string, { id, x }: PublicKey, by: string) =>
      sql`
        insert into gatekeeper.service_key (key_id, service, public_key, enrolled_by) values (${id}, ${service}, ${x}, ${by})
        on conflict (key_id) do nothing`,
    /** Withdraws a key for good. */
    withdraw: (id: string, by: string) =>
      sql`
        update gatekeeper.service_key set withdrawn_at = clock_timestamp(), withdrawn_by = ${by}
        where key_id = ${id} and withdrawn_at is null`
  }
})

export type ServiceKeyTable = Effect.Effect.Success<typeof serviceKeyTable>
