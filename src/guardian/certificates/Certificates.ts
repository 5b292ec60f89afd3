import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Stops } from "../../clients/Stops.ts"
import { certificateStop, describeStop, emptyStopList, type StopList } from "../../domain/Stops.ts"
import { monotonicMillis } from "../../platform/os/EventLoop.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { traced } from "../../platform/telemetry/Traced.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase, type PageQuery } from "../GuardianDatabase.ts"
import {
  type CertificateRow,
  certificateColumns,
  certificateRows,
  countAll,
  decodedCertificates,
  hasTable,
  type IssuedCertificate,
  insertCertificate,
  isoOfMicros,
  type Revocation,
  revokeCertificate,
  selectNewest,
  selectPage,
  selectSame
} from "./CertificateRow.ts"
import {
  type CertificateAltered,
  type Claims,
  issuer,
  makeCachedVerifier,
  sign,
  verifyRow
} from "./CertificateSigner.ts"
import { SigningKeys } from "./SigningKeys.ts"

/** The agent has no certificate in force. */
export class NotCertified extends Schema.TaggedError<NotCertified>()("NotCertified", {
  agent: Schema.String,
  problem: Schema.Literal("none", "expired", "revoked", "altered", "future"),
  reason: Schema.String
}) {
  readonly code = "not_certified"
  override get message(): string {
    return `${this.agent} is not certified: ${this.reason}. Have a certificate issued (POST /certificates)`
  }
}

/** Why a row is not in force, whether its signature is valid or not. */
const validityProblem = (
  row: Pick<CertificateRow, "revokedAt" | "revokedReason" | "isExpired" | "isFuture" | "expiresMicros" | "issuedMicros">
): { readonly problem: NotCertified["problem"]; readonly reason: string } | undefined => {
  if (row.revokedAt !== null) {
    const why = row.revokedReason === null ? "" : ` (${row.revokedReason})`
    return { problem: "revoked", reason: `its certificate was revoked at ${DateTime.formatIso(row.revokedAt)}${why}` }
  }
  if (row.isExpired) {
    return { problem: "expired", reason: `its certificate expired at ${isoOfMicros(row.expiresMicros)}` }
  }
  if (row.isFuture) {
    return { problem: "future", reason: `its certificate holds from ${isoOfMicros(row.issuedMicros)} only` }
  }
  return undefined
}

/** Why a row certifies nothing while its agent is stopped, or for good. The guardian may not have revoked it yet. */
const stopProblem = (stops: StopList, { agent, id, issuedMicros }: CertificateRow) => {
  const stop = certificateStop(stops, agent, { id: id ?? undefined, issuedAt: Number(issuedMicros / 1_000n) })
  return stop === undefined ? undefined : ({ problem: "revoked", reason: describeStop(stop) } as const)
}

/**
 * Returns the first of `rows` (newest first) that is in force and has a valid signature. A row with another signature certifies
 * nothing, and does not hide an older one that is valid.
 */
export const certified = (
  agent: string,
  rows: ReadonlyArray<CertificateRow>,
  unseal: (row: CertificateRow) => Effect.Effect<Claims, CertificateAltered>,
  stops: StopList = emptyStopList
) =>
  Effect.gen(function* () {
    let first: { readonly problem: NotCertified["problem"]; readonly reason: string } | undefined
    for (const row of rows) {
      const problem = validityProblem(row) ?? stopProblem(stops, row)
      if (problem === undefined) {
        const claims = yield* Effect.either(unseal(row))
        if (Either.isRight(claims)) {
          const { no, readMicros, signature } = row
          return { no, readMicros, claims: claims.right, signature: signature ?? "" }
        }
        yield* Effect.logError(
          `ALARM: the certificate ${row.id ?? `number ${row.no}`} of ${JSON.stringify(agent)} certifies nothing: ${claims.left.reason}. ` +
            "If a key was changed, keep the old one to verify; otherwise guardian.certificate was written to by hand."
        )
        first ??= { problem: "altered", reason: `its certificate certifies nothing, since ${claims.left.reason}` }
      }
      first ??= problem
    }
    return yield* new NotCertified({ agent, ...(first ?? { problem: "none", reason: "it never had a certificate" }) })
  })

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

/** How long, in milliseconds, a certificate that was read is good for the statement that looks whether it is still in force. */
const recentMillis = 1_000

/** Agents whose certificate is remembered. */
const maximumRecent = 1_000

/** The certificates that were found in force in the last second, by agent. */
const makeRecent = (stops: typeof Stops.Service) => {
  const found = new Map<string, { readonly certificate: ActiveCertificate; readonly at: number }>()
  return {
    keep: (agent: string, certificate: ActiveCertificate, at: number) => {
      if (found.size >= maximumRecent) found.clear()
      found.set(agent, { certificate, at })
    },
    find: (agent: string, now: number) => {
      const recent = found.get(agent)
      if (recent === undefined || now - recent.at > recentMillis) return undefined
      const { iat, jti } = recent.certificate.claims
      const stop = certificateStop(stops.list(), agent, { id: jti, issuedAt: iat * 1_000 })
      return stop === undefined ? recent.certificate : undefined
    },
    /** After a change: this process uses the newest certificate at once. */
    clear: () => found.clear()
  }
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
    /** The agent's newest certificate that is in force, its row compared now with a signature that was verified. */
    readonly inForce: (agent: string) => Effect.Effect<ActiveCertificate, NotCertified | DatabaseUnavailable>
    /**
     * The certificate that `inForce` found in the last second, if no stop covers it now. It saves a query where the next statement
     * checks in the database that the same certificate is still in force; undefined where `inForce` has to be asked.
     */
    readonly recent: (agent: string) => Effect.Effect<ActiveCertificate | undefined>
    /** Newest first; `isVerified`: the row agrees with its signature. `total` is of all pages. */
    readonly list: (query: PageQuery) => Effect.Effect<
      {
        readonly rows: ReadonlyArray<CertificateRow & { readonly isVerified: boolean }>
        readonly total: number
      },
      DatabaseUnavailable
    >
    /** By its public id. */
    readonly find: (id: string) => Effect.Effect<CertificateRow | undefined, DatabaseUnavailable>
    /** The public id of a certificate with the same claims but another id; a revoked one first. */
    readonly idOf: (said: Omit<Claims, "jti">) => Effect.Effect<string | undefined, DatabaseUnavailable>
    /** The names of all agents that ever had a certificate. */
    readonly agents: Effect.Effect<ReadonlyArray<string>, DatabaseUnavailable>
    /** Whether the table exists: a command may run before the first start. */
    readonly isReady: Effect.Effect<boolean, DatabaseUnavailable>
    /** Revokes from the commit on, and ends the certificate's sessions. A repeat returns what the first one did. Undefined when unknown. */
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
      const stops = yield* Stops
      const { query, read, sql, transaction } = yield* GuardianDatabase
      const columns = certificateColumns(sql)
      const verify = makeCachedVerifier(keys)
      const recent = makeRecent(stops)
      const forgetting = Effect.ensuring(Effect.sync(recent.clear))

      const newest = (agent: string, state: keyof typeof selectNewest, limit: number) =>
        decodedCertificates(query(selectNewest[state], [agent, limit]))

      const add = <E = never>(issued: IssuedCertificate, recording: Effect.Effect<unknown, E> = Effect.void) =>
        transaction((connection) =>
          Effect.flatMap(insertCertificate(connection, issued), (isNew) =>
            isNew ? Effect.as(recording, true) : Effect.succeed(false)
          )
        ).pipe(forgetting)

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
        inForce: traced("Certificates.inForce")(
          Effect.fnUntraced(function* (agent: string) {
            const found = yield* newest(agent, "inForce", candidates)
            const rows = found.length > 0 ? found : yield* newest(agent, "any", 1)
            const certificate = yield* certified(agent, rows, (row) => verifyRow(keys, row, verify), stops.list())
            recent.keep(agent, certificate, yield* monotonicMillis)
            return certificate
          })
        ),
        recent: (agent) => Effect.map(monotonicMillis, (now) => recent.find(agent, now)),
        list: Effect.fn("Certificates.list")(function* (query) {
          const page = yield* certificateRows(selectPage(sql, query), read)
          const counted = yield* read(countAll(sql, query.agent))
          const rows = yield* Effect.forEach(
            page,
            (row) => Effect.map(Effect.isSuccess(verifyRow(keys, row)), (isVerified) => ({ ...row, isVerified })),
            { concurrency: 8 }
          )
          return { rows, total: Number(counted[0]?.["total"]) }
        }),
        find: Effect.fn("Certificates.find")((id) =>
          Effect.map(
            certificateRows(sql`select ${columns} from guardian.certificate where jti = ${id}::uuid`),
            ([found]) => found
          )
        ),
        idOf: Effect.fn("Certificates.idOf")(function* (claims) {
          const rows = yield* bounded(selectSame(sql, claims))
          const id = rows[0]?.["id"]
          return typeof id === "string" ? id : undefined
        }),
        agents: Effect.map(read(sql`select distinct agent from guardian.certificate order by agent`), (rows) =>
          rows.map(({ agent }) => String(agent))
        ),
        isReady: Effect.map(bounded(hasTable(sql)), (rows) => rows[0]?.["ready"] === true),
        revoke: Effect.fn("Certificates.revoke")((id, by) =>
          transaction((connection) => revokeCertificate(connection, id, by)).pipe(forgetting)
        )
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}
