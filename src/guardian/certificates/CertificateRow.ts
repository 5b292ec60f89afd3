import type * as SqlClient from "@effect/sql/SqlClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseInstant } from "../../domain/Rfc3339.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { decodedRows, type PageQuery, rowsOf } from "../GuardianDatabase.ts"
import { type Claims, SignedRow } from "./CertificateSigner.ts"

/** A row of `guardian.certificate`: nothing in it counts before `verifyRow` agrees, except its revocation. */
export const CertificateRow = Schema.Struct({
  /** The row's own number, for references inside of the database. */
  no: Schema.String,
  ...SignedRow.fields,
  revokedAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  revokedReason: Schema.NullOr(Schema.String),
  /** By the database's clock, so that guardians on several machines agree. */
  isExpired: Schema.Boolean,
  isFuture: Schema.Boolean,
  /** When the row was read, in microseconds since 1970. */
  readMicros: Schema.BigInt
})
export type CertificateRow = typeof CertificateRow.Type

export const certificateRows = rowsOf(CertificateRow)

export const decodedCertificates = decodedRows(CertificateRow)

/** Seconds that a certificate may be ahead of the database: the machine that issued it dates it by its own clock. */
const clockTolerance = 60

/** Numbers as text: a `Date` would lose the microseconds, which the signature covers. */
const columns = `
  certificate.id::text as no, certificate.jti::text as id, certificate.agent, certificate.version,
  (extract(epoch from certificate.issued_at) * 1000000)::bigint::text as "issuedMicros",
  (extract(epoch from certificate.expires_at) * 1000000)::bigint::text as "expiresMicros",
  certificate.key_id as "keyId", certificate.signature, certificate.revoked_at as "revokedAt",
  certificate.revoked_reason as "revokedReason", certificate.expires_at <= clock_timestamp() as "isExpired",
  certificate.issued_at > clock_timestamp() + make_interval(secs => ${clockTolerance}) as "isFuture",
  (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as "readMicros"`

export const certificateColumns = (sql: SqlClient.SqlClient) => sql.literal(columns)

/** `2026-01-31T12:00:00.000Z`. */
export const isoOfMicros = (micros: bigint): string => DateTime.formatIso(DateTime.unsafeMake(Number(micros / 1_000n)))

export const isoOfSeconds = (seconds: number): string => DateTime.formatIso(DateTime.unsafeMake(seconds * 1_000))

/** Reads an RFC 3339 time as seconds since 1970, the fraction cut off, as signed. */
export const parseSeconds = (text: string): Option.Option<number> =>
  parseInstant(text).pipe(
    Option.map((instant) => Math.floor(instant.epochMillis / 1_000)),
    Option.filter((seconds) => seconds > 0)
  )

/** A certificate as it is answered to the client that asked for it. */
export interface IssuedCertificate {
  readonly claims: Claims
  readonly keyId: string
  /** The compact JWS. */
  readonly signature: string
}

export interface Revocation {
  readonly id: string
  readonly agent: string
  readonly revokedAt: string
  readonly reason: string | null
  /** The ids of the sessions that it ended. */
  readonly sessions: ReadonlyArray<string>
}

const newest = (condition: string): string => `
  select ${columns} from guardian.certificate
  where agent = $1 and ${condition}
  order by certificate.issued_at desc, certificate.id desc
  limit $2`

/** Select the newest certificates of an agent (`$1`), at most `$2`. */
export const selectNewest = {
  inForce: newest("revoked_at is null and expires_at > clock_timestamp()"),
  any: newest("true")
} as const

const ofAgent = (sql: SqlClient.SqlClient, agent: string | undefined) =>
  agent === undefined ? sql`true` : sql`agent = ${agent}`

export const selectPage = (sql: SqlClient.SqlClient, query: PageQuery) => sql`
  select ${certificateColumns(sql)} from guardian.certificate
  where ${ofAgent(sql, query.agent)}
    and ${query.before === undefined ? sql`true` : sql`certificate.id < ${query.before}::bigint`}
  order by certificate.id desc limit ${query.limit}`

export const countAll = (sql: SqlClient.SqlClient, agent: string | undefined) =>
  sql`select count(*)::text as total from guardian.certificate where ${ofAgent(sql, agent)}`

/** The id of a certificate with the same claims, a revoked one first. */
export const selectSame = (sql: SqlClient.SqlClient, { exp, iat, sub, version }: Omit<Claims, "jti">) => sql`
  select jti::text as id from guardian.certificate
  where agent = ${sub} and version = ${version} and issued_at = to_timestamp(${iat}::bigint)
    and expires_at = to_timestamp(${exp}::bigint) and jti is not null
  order by revoked_at limit 1`

export const hasTable = (sql: SqlClient.SqlClient) => sql`
  select exists (
    select from pg_catalog.pg_attribute
    where attrelid = pg_catalog.to_regclass('guardian.certificate') and attname = 'jti' and not attisdropped
  ) as ready`

/** Returns false where a certificate of that id exists. */
export const insertCertificate = (connection: Connection, { claims, keyId, signature }: IssuedCertificate) =>
  Effect.map(
    connection.query(
      `insert into guardian.certificate (jti, agent, version, issued_at, expires_at, key_id, signature)
       values ($1::uuid, $2, $3, to_timestamp($4::bigint), to_timestamp($5::bigint), $6, $7)
       on conflict (jti) do nothing
       returning id`,
      [claims.jti, claims.sub, claims.version, claims.iat, claims.exp, keyId, signature]
    ),
    ({ rows }) => rows.length > 0
  )

/** Revokes, and ends the certificate's sessions, within the connection's transaction. */
export const revokeCertificate = Effect.fnUntraced(function* (
  connection: Connection,
  id: string,
  by: { readonly ghostId: string; readonly reason: string | null }
) {
  // This update waits for the row's lock: a session's start that holds it has finished then, and the next statement sees it.
  const revoked = yield* connection.query(
    `update guardian.certificate set revoked_at = clock_timestamp(), revoked_by = $2, revoked_reason = $3
     where jti = $1::uuid and revoked_at is null
     returning id`,
    [id, by.ghostId, by.reason]
  )
  const ended = yield* connection.query(
    `update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'revoked'
     where certificate_id = $1 and ended_at is null
     returning session_id`,
    [revoked.rows[0]?.["id"] ?? null]
  )
  // In the same transaction: a later query that fails would refuse a revocation that was made.
  const { rows } = yield* connection.query(
    `select agent, (extract(epoch from revoked_at) * 1000000)::bigint::text as at, revoked_reason as reason
     from guardian.certificate where jti = $1::uuid`,
    [id]
  )
  const row = rows[0]
  if (row === undefined) return undefined
  const reason = row["reason"]
  return {
    id,
    agent: String(row["agent"]),
    revokedAt: isoOfMicros(BigInt(String(row["at"]))),
    reason: typeof reason === "string" ? reason : null,
    sessions: ended.rows.map((session) => String(session["session_id"]))
  }
})
