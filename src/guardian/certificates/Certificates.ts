import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase } from "../GuardianDatabase.ts"
import { type CertificateRow, certificateColumns, certificateRows } from "./CertificateRow.ts"
import { type Claims, issuer, sign, verifyRow } from "./CertificateSigner.ts"
import {
  countAll,
  hasTable,
  type IssuedCertificate,
  insertCertificate,
  type Revocation,
  revokeCertificate,
  selectNewest,
  selectPage,
  selectSame
} from "./CertificateStatements.ts"
import { certified, type NotCertified } from "./Certification.ts"
import { SigningKeys } from "./SigningKeys.ts"

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
        Effect.flatMap(bounded(selectNewest(sql, agent, state, limit)), certificateRows)

      /** Inserts. Returns false where a certificate of that id exists. */
      const add = <E = never>(issued: IssuedCertificate, recording: Effect.Effect<unknown, E> = Effect.void) =>
        transaction((connection) =>
          Effect.flatMap(insertCertificate(connection, issued), (isNew) =>
            isNew ? Effect.as(recording, true) : Effect.succeed(false)
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
          const [page, counted] = yield* Effect.all(
            [bounded(selectPage(sql, { agent, before, limit })), bounded(countAll(sql, agent))],
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
        idOf: Effect.fn("Certificates.idOf")(function* (claims) {
          const rows = yield* bounded(selectSame(sql, claims))
          const id = rows[0]?.["id"]
          return typeof id === "string" ? id : undefined
        }),
        isReady: Effect.map(bounded(hasTable(sql)), (rows) => rows[0]?.["ready"] === true),
        revoke: Effect.fn("Certificates.revoke")((id, by) =>
          transaction((connection) => revokeCertificate(connection, id, by))
        )
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}
