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

/** A certificate as it was handed out. */
export interface IssuedCertificate {
  readonly claims: Claims
  readonly keyId: string
  /** The compact JWS. */
  readonly signature: string
}

export interface Issuing {
  readonly agent: string
  readonly version: number
  /** Seconds since 1970. */
  readonly issuedAt: number
  /** Seconds since 1970, after `issuedAt`. */
  readonly expiresAt: number
}

/** A certificate in force, which the guardian's signature vouches for. */
export interface InForce {
  /** Its row, for references inside of the database. */
  readonly no: string
  readonly claims: Claims
  readonly signature: string
  /** When that was so, in microseconds since 1970 by the database's clock. */
  readonly readMicros: bigint
}

export interface Revocation {
  readonly id: string
  readonly agent: string
  readonly revokedAt: string
  readonly reason: string | null
  /** Those that it ended. */
  readonly sessions: ReadonlyArray<string>
}

export interface CertificatesQuery {
  readonly agent?: string | undefined
  readonly limit: number
  /** `no` of the last one of the page before. */
  readonly before?: string | undefined
}

export interface CertificatePage {
  /** Newest first; `stands` tells whether the signature vouches for the row. */
  readonly rows: ReadonlyArray<CertificateRow & { readonly stands: boolean }>
  /** Of all pages. */
  readonly total: number
}

/** Of one agent it is enough to look at so many of the newest; what else would certify it was replaced long ago. */
const candidates = 20

/** Issues, finds and revokes certificates. */
export class Certificates extends Context.Tag("guardian/Certificates")<
  Certificates,
  {
    readonly issue: (issuing: Issuing) => Effect.Effect<IssuedCertificate, DatabaseUnavailable>
    /**
     * Takes over a certificate of another issuing; without `signed` it is signed anew. False where there is one of its id, in
     * force or not. It is there only if `recording` succeeds, which is done where it is new.
     */
    readonly adopt: <E>(
      claims: Claims,
      signed: { readonly keyId: string; readonly signature: string } | undefined,
      recording: Effect.Effect<unknown, E>
    ) => Effect.Effect<boolean, DatabaseUnavailable | Exclude<E, DatabaseError>>
    /** The agent's newest certificate that is in force, its signature checked now. */
    readonly inForce: (agent: string) => Effect.Effect<InForce, NotCertified | DatabaseUnavailable>
    readonly list: (query: CertificatesQuery) => Effect.Effect<CertificatePage, DatabaseUnavailable>
    /** By its public id. */
    readonly find: (id: string) => Effect.Effect<CertificateRow | undefined, DatabaseUnavailable>
    /** The public id of one that says the same of the same agent, whatever its own id; the revoked first. */
    readonly idOf: (said: Omit<Claims, "jti">) => Effect.Effect<string | undefined, DatabaseUnavailable>
    /** Whether there is a table to find any in: a command may come before the first start. */
    readonly isReady: Effect.Effect<boolean, DatabaseUnavailable>
    /**
     * In force no more from the commit on; its sessions end with it. Undefined when there is no such certificate. A repeat
     * answers what the first did.
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

      const newest = (agent: string, state: "standing" | "any", limit: number) =>
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

      /** False where a certificate of that id is there. */
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
          const standing = yield* newest(agent, "standing", candidates)
          const rows = standing.length > 0 ? standing : yield* newest(agent, "any", 1)
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
            (row) => Effect.map(Effect.isSuccess(verifyRow(keys, row)), (stands) => ({ ...row, stands })),
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
              // The row's lock comes first: a start that holds it is finished, and seen by the second statement.
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
              // Within the transaction too: asked after it, a question without an answer would deny what was done.
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
