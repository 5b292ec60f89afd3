import type * as SqlClient from "@effect/sql/SqlClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseInstant } from "../../domain/Text.ts"
import type { SignedRow } from "./CertificateSigner.ts"

/** A row of `guardian.certificate`: nothing in it counts before `verifyRow` agrees, except its revocation. */
export const CertificateRow = Schema.Struct({
  /** The row's own number, for references inside of the database. */
  no: Schema.String,
  id: Schema.NullOr(Schema.String),
  agent: Schema.String,
  version: Schema.Number,
  issuedMicros: Schema.BigInt,
  expiresMicros: Schema.BigInt,
  keyId: Schema.NullOr(Schema.String),
  signature: Schema.NullOr(Schema.String),
  revokedAt: Schema.NullOr(Schema.DateTimeUtcFromDate),
  revokedReason: Schema.NullOr(Schema.String),
  /** By the database's clock, so that guardians on several machines agree. */
  isExpired: Schema.Boolean,
  isFuture: Schema.Boolean,
  /** When the row was read, in microseconds since 1970. */
  readMicros: Schema.BigInt
})
export interface CertificateRow extends SignedRow, Schema.Schema.Type<typeof CertificateRow> {}

const decode = Schema.decodeUnknown(Schema.Array(CertificateRow))

export const certificateRows = (rows: unknown): Effect.Effect<ReadonlyArray<CertificateRow>> =>
  Effect.orDie(decode(rows))

/** Seconds that a certificate may be ahead of the database: the machine that issued it dates it by its own clock. */
const clockTolerance = 60

/** Numbers as text: a `Date` would lose the microseconds, which the signature covers. */
export const certificateColumns = (sql: SqlClient.SqlClient) => sql`
  certificate.id::text as no, certificate.jti::text as id, certificate.agent, certificate.version,
  (extract(epoch from certificate.issued_at) * 1000000)::bigint::text as "issuedMicros",
  (extract(epoch from certificate.expires_at) * 1000000)::bigint::text as "expiresMicros",
  certificate.key_id as "keyId", certificate.signature, certificate.revoked_at as "revokedAt",
  certificate.revoked_reason as "revokedReason", certificate.expires_at <= clock_timestamp() as "isExpired",
  certificate.issued_at > clock_timestamp() + make_interval(secs => ${clockTolerance}) as "isFuture",
  (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as "readMicros"`

/** `2026-01-31T12:00:00.000Z`. */
export const isoOfMicros = (micros: bigint): string => DateTime.formatIso(DateTime.unsafeMake(Number(micros / 1_000n)))

export const isoOfSeconds = (seconds: number): string => DateTime.formatIso(DateTime.unsafeMake(seconds * 1_000))

/**
 * Seconds since 1970, the fraction cut off: a certificate's signature covers whole seconds. Also accepts a space instead of the
 * "T" and a zone without its colon, as PostgreSQL and Python write them.
 */
export const parseSeconds = (text: string): Option.Option<number> =>
  parseInstant(text.replace(" ", "T").replace(/([+-]\d{2})(\d{2})$/, "$1:$2")).pipe(
    Option.map((instant) => Math.floor(instant.epochMillis / 1_000)),
    Option.filter((seconds) => seconds > 0)
  )
