import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase } from "../GuardianDatabase.ts"
import { type CertificateRow, certificateColumns, certificateRows, isoOfMicros } from "./CertificateRow.ts"
import { type Claims, issuer, sign, verifyRow } from "./CertificateSigner.ts"
import { certified, type NotCertified } from "./Certification.ts"
import { SigningKeys } from "./SigningKeys.ts"

/** A certificate as it is answered to the client that asked for it. */
export interface IssuedCertificate {
  readonly claims: Claims
  readonly keyId: string
  /** The compact JWS. */
  readonly signature: string
}

export interface NewCertificate {
  readonly agent: string
  readonly version: number
  /** Seconds since 1970. */
  readonly issuedAt: number
  /** Seconds since 1970, after `issuedAt`. */
  readonly expiresAt: number
}

/** A certificate in force, whose signature was verified. */
export interface ActiveCertificate {
  /** Its row, for references inside of the database. */
  readonly no: string
  readonly claims: Claims
  readonly signature: string
  /** When the row was read, in microseconds since 1970 by the database's clock. */
  readonly readMicros: bigint
}

export interface Revocation {
  readonly id: string
  readonly agent: string
  readonly revokedAt: string
  readonly reason: string | null
  /** The ids of the sessions that it ended. */
  readonly sessions: ReadonlyArray<string>
}

export interface CertificatesQuery {
  readonly agent?: string | undefined
  readonly limit: number
  /** `no` of the last one of the page before. */
  readonly before?: string | undefined
}

export interface CertificatePage {
  /** Newest first; `isVerified`: the row agrees with its signature. */
  readonly rows: ReadonlyArray<CertificateRow & { readonly isVerified: boolean }>
  /** Of all pages. */
  readonly total: number
}

/** Rows of one agent that are verified at most, the newest first: older ones were replaced long ago. */
const candidates = 20

/** Issues, finds and revokes certificates. */
export class Certificates extends Context.Tag("guardian/Certificates")<
  Certificates,
  {
    readonly issue: (issuing: NewCertificate) => Effect.Effect<IssuedCertificate, DatabaseUnavailable>
    /**
     * Inserts a certificate from a file; without `signed` it is signed here. Returns false where its id exists, in force or not.
     * Runs `recording` in the same transaction where the certificate is new; if that fails, nothing is inserted.
     */
    readonly adopt: <E>(
      claims: Claims,
      signed: { readonly keyId: string; readonly signature: string } | undefined,
      recording: Effect.Effect<unknown, E>
    ) => Effect.Effect<boolean, DatabaseUnavailable | Exclude<E, DatabaseError>>
    /** The agent's newest certificate that is in force, its signature checked now. */
    readonly inForce: (agent: string) => Effect.Effect<ActiveCertificate, NotCertified | DatabaseUnavailable>
    readonly list: (query: CertificatesQuery) => Effect.Effect<CertificatePage, DatabaseUnavailable>
    /** By its public id. */
    readonly find: (id: string) => Effect.Effect<CertificateRow | undefined, DatabaseUnavailable>
    /** The public id of a certificate with the same claims but another id; a revoked one first. */
    readonly idOf: (said: Omit<Claims, "jti">) => Effect.Effect<string | undefined, DatabaseUnavailable>
    /** Whether the table exists: a command may run before the first start. */
    readonly isReady: Effect.Effect<boolean, DatabaseUnavailable>
    /**
     * Revokes from the commit on, and ends the certificate's sessions. Undefined when there is no such certificate. A repeat
     * returns what the first one did.
     */
    readonly revoke: (
      id: string,
      by: { readonly ghostId: string; readonly reason: string | null }
    ) => Effect.Effect<Revocation | undefined, DatabaseUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Certificates,
    Effect.gen(function* () {
      const keys = yield* SigningKeys
      const { sql, transaction } = yield* GuardianDatabase
      const columns = certificateColumns(sql)

      const newest = (agent: string, state: "in force" | "any", limit: number) =>
        Effect.flatMap(
          bounded(
            sql`
              select ${columns} from guardian.certificate
              where agent = ${agent}
                and ${state === "any" ? sql`true` : sql`revoked_at is null and expires_at > clock_timestamp()`}
              order by certificate.issued_at desc, certificate.id desc
              limit ${limit}`
          ),
          certificateRows
        )

      /** Inserts. Returns false where a certificate of that id exists. */
      const add = <E = never>(
        { claims, keyId, signature }: IssuedCertificate,
        recording: Effect.Effect<unknown, E> = Effect.void
      ) =>
        transaction((connection) =>
          Effect.flatMap(
            connection.query(
              `insert into guardian.certificate (jti, agent, version, issued_at, expires_at, key_id, signature)
               values ($1::uuid, $2, $3, to_timestamp($4::bigint), to_timestamp($5::bigint), $6, $7)
               on conflict (jti) do nothing
               returning id`,
              [claims.jti, claims.sub, claims.version, claims.iat, claims.exp, keyId, signature]
            ),
            ({ rows }) => (rows.length > 0 ? Effect.as(recording, true) : Effect.succeed(false))
          )
        )

      return {
        issue: Effect.fn("Certificates.issue")(function* (issuing) {
          const claims: Claims = {
            iss: issuer,
            jti: randomUUID(),
            sub: issuing.agent,
            version: issuing.version,
            iat: issuing.issuedAt,
            exp: issuing.expiresAt
          }
          const issued = { claims, keyId: keys.active.id, signature: yield* sign(keys, claims) }
          yield* add(issued)
          return issued
        }),
        adopt: (claims, signed, recording) =>
          Effect.flatMap(
            signed === undefined
              ? Effect.map(sign(keys, claims), (signature) => ({ keyId: keys.active.id, signature }))
              : Effect.succeed(signed),
            (sealed) => add({ claims, ...sealed }, recording)
          ).pipe(Effect.withSpan("Certificates.adopt")),
        inForce: Effect.fn("Certificates.inForce")(function* (agent) {
          const found = yield* newest(agent, "in force", candidates)
          const rows = found.length > 0 ? found : yield* newest(agent, "any", 1)
          return yield* certified(agent, rows, (row) => verifyRow(keys, row))
        }),
        list: Effect.fn("Certificates.list")(function* ({ agent, before, limit }) {
          const ofAgent = agent === undefined ? sql`true` : sql`agent = ${agent}`
          const [page, counted] = yield* Effect.all(
            [
              bounded(
                sql`
                  select ${columns} from guardian.certificate
                  where ${ofAgent} and ${before === undefined ? sql`true` : sql`certificate.id < ${before}::bigint`}
                  order by certificate.id desc limit ${limit}`
              ),
              bounded(sql`select count(*)::text as total from guardian.certificate where ${ofAgent}`)
            ],
            { concurrency: 2 }
          )
          const rows = yield* Effect.forEach(
            yield* certificateRows(page),
            (row) => Effect.map(Effect.isSuccess(verifyRow(keys, row)), (isVerified) => ({ ...row, isVerified })),
            { concurrency: 8 }
          )
          return { rows, total: Number(counted[0]?.["total"]) }
        }),
        find: Effect.fn("Certificates.find")(function* (id) {
          const rows = yield* bounded(sql`select ${columns} from guardian.certificate where jti = ${id}::uuid`)
          return (yield* certificateRows(rows))[0]
        }),
        idOf: Effect.fn("Certificates.idOf")(function* ({ exp, iat, sub, version }) {
          const rows = yield* bounded(
            sql`
              select jti::text as id from guardian.certificate
              where agent = ${sub} and version = ${version} and issued_at = to_timestamp(${iat}::bigint)
                and expires_at = to_timestamp(${exp}::bigint) and jti is not null
              order by revoked_at limit 1`
          )
          const id = rows[0]?.["id"]
          return typeof id === "string" ? id : undefined
        }),
        isReady: Effect.map(
          bounded(
            sql`
              select exists (
                select from pg_catalog.pg_attribute
                where attrelid = pg_catalog.to_regclass('guardian.certificate') and attname = 'jti' and not attisdropped
              ) as ready`
          ),
          (rows) => rows[0]?.["ready"] === true
        ),
        revoke: Effect.fn("Certificates.revoke")((id, by) =>
          transaction((connection) =>
            Effect.gen(function* () {
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
          )
        )
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}
