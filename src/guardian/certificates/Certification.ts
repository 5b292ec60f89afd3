import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { type CertificateRow, isoOfMicros } from "./CertificateRow.ts"
import type { CertificateAltered, Claims } from "./CertificateSigner.ts"

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
export const validityProblem = (
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

/**
 * Returns the first of `rows` (newest first) that is in force and has a valid signature. A row with another signature certifies
 * nothing, and does not hide an older one that is valid.
 */
export const certified = (
  agent: string,
  rows: ReadonlyArray<CertificateRow>,
  unseal: (row: CertificateRow) => Effect.Effect<Claims, CertificateAltered>
) =>
  Effect.gen(function* () {
    let first: { readonly problem: NotCertified["problem"]; readonly reason: string } | undefined
    for (const row of rows) {
      const problem = validityProblem(row)
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
