import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { pageOf } from "../../contracts/Fields.ts"
import * as Api from "../../contracts/guardian/GuardianApi.ts"
import { certificateResource, type IssueCertificate, isAgentName } from "../../contracts/guardian/GuardianSchemas.ts"
import { parseLifetime } from "../../platform/config/Setting.ts"
import { audited, type Caller } from "../GuardianAccess.ts"
import { type CertificateRow, isoOfMicros, isoOfSeconds, parseSeconds } from "./CertificateRow.ts"
import { type ActiveCertificate, Certificates, type NewCertificate } from "./Certificates.ts"

/** Completes a row's reason: `certified until 2026-01-31T12:00:00.000Z`. */
export const certifiedUntil = ({ claims }: ActiveCertificate): string => `certified until ${isoOfSeconds(claims.exp)}`

const standardValidity = Duration.days(90)

/** A certificate without a renewal for longer would never be looked at again. */
const longestValidity = Duration.days(3_650)

/** When the certificate expires, in seconds since 1970. `now` is in the same unit. */
const expiryOf = (
  { expires_at: expiresAt, valid_for: validFor }: Pick<typeof IssueCertificate.Type, "expires_at" | "valid_for">,
  now: number
): Either.Either<number, string> => {
  if (expiresAt !== undefined) {
    return Either.fromOption(
      parseSeconds(expiresAt),
      () => '"expires_at" must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z'
    )
  }
  const duration = validFor === undefined ? Option.some(standardValidity) : parseLifetime(validFor)
  return Either.fromOption(
    Option.map(duration, (one) => now + Math.floor(Duration.toSeconds(one))),
    () => '"valid_for" must be a duration such as 90d or 24h, or a number of seconds'
  )
}

/** The certificate that a request asks for; `now` is in seconds since 1970. */
export const newCertificateOf = (
  payload: typeof IssueCertificate.Type,
  now: number
): Either.Either<NewCertificate, InvalidRequest> =>
  expiryOf(payload, now).pipe(
    Either.filterOrLeft(
      (expiresAt) => expiresAt > now,
      () => "the certificate would have expired already"
    ),
    Either.filterOrLeft(
      (expiresAt) => expiresAt <= now + Duration.toSeconds(longestValidity),
      () => `the certificate would hold longer than ${Duration.format(longestValidity)}`
    ),
    Either.mapBoth({
      onLeft: (reason) => new InvalidRequest({ reason }),
      onRight: (expiresAt) => ({ agent: payload.agent, version: payload.version ?? 1, issuedAt: now, expiresAt })
    })
  )

const certificateView = (row: CertificateRow & { readonly isVerified: boolean }) => ({
  agent: row.agent,
  issued_at: isoOfMicros(row.issuedMicros),
  expires_at: isoOfMicros(row.expiresMicros),
  version: row.version,
  is_expired: row.isExpired,
  id: row.id,
  key_id: row.keyId,
  revoked_at: row.revokedAt === null ? null : DateTime.formatIso(row.revokedAt),
  is_verified: row.isVerified
})

const notFound = (id: string) => new Api.CertificateNotFound({ reason: `there is no certificate ${id}` })

const validate = Effect.flatMap(Certificates, (certificates) =>
  audited(Api.validate, {
    event: "certificate.validate",
    action: "read",
    fallbackResource: "certificates",
    target: ({ payload: { agent } }) =>
      Effect.succeed({
        resource: certificateResource(agent),
        run: () =>
          Effect.map(certificates.inForce(agent), (certificate) => ({
            body: {
              valid: true,
              agent,
              issued_at: isoOfSeconds(certificate.claims.iat),
              expires_at: isoOfSeconds(certificate.claims.exp)
            },
            reason: certifiedUntil(certificate),
            facts: { certificate_id: certificate.claims.jti }
          }))
      })
  })
)

const issue = Effect.flatMap(Certificates, (certificates) =>
  audited(Api.issue, {
    event: "certificate.issue",
    action: "write",
    fallbackResource: "certificates",
    target: ({ payload }) =>
      Effect.gen(function* () {
        const issuing = yield* newCertificateOf(payload, Math.floor((yield* Clock.currentTimeMillis) / 1_000))
        const run = () =>
          Effect.map(certificates.issue(issuing), ({ claims, keyId, signature }) => {
            const expires = isoOfSeconds(claims.exp)
            return {
              body: {
                id: claims.jti,
                agent: claims.sub,
                issued_at: isoOfSeconds(claims.iat),
                expires_at: expires,
                version: claims.version,
                key_id: keyId,
                signature
              },
              reason: `issued until ${expires}`,
              facts: { certificate_id: claims.jti, version: claims.version, key_id: keyId },
              compensate: certificates.revoke(claims.jti, {
                ghostId: "guardian",
                reason: "its issue could not be recorded"
              })
            }
          })
        return { resource: certificateResource(issuing.agent), run }
      })
  })
)

const revoke = Effect.flatMap(Certificates, (certificates) =>
  audited(Api.revoke, {
    event: "certificate.revoke",
    action: "write",
    fallbackResource: "certificates",
    target: ({ path: { id }, payload: { reason: given = null } }) =>
      Effect.map(certificates.find(id), (known) => ({
        // The gatekeeper refuses a question about a name that an earlier version certified, and an id has one spelling.
        resource: certificateResource(known === undefined || !isAgentName(known.agent) ? id : known.agent),
        run: ({ ghostId }: Caller) =>
          Effect.gen(function* () {
            if (known === undefined) return yield* notFound(id)
            const revoked = yield* certificates.revoke(id, { ghostId, reason: given })
            if (revoked === undefined) return yield* notFound(id)
            const { agent, reason, revokedAt, sessions } = revoked
            return {
              body: { id: revoked.id, agent, revoked_at: revokedAt, reason, sessions_ended: sessions.length },
              reason: `revoked at ${revokedAt}${reason === null ? "" : `: ${reason}`}`,
              facts: { certificate_id: id, sessions_ended: sessions.length, sessions: sessions.slice(0, 20) },
              compensate: "final"
            } as const
          })
      }))
  })
)

const list = Effect.flatMap(Certificates, (certificates) =>
  audited(Api.certificates, {
    event: "certificate.list",
    action: "read",
    fallbackResource: "certificates",
    target: ({ urlParams: { agent, cursor, limit } }) =>
      Effect.succeed({
        resource: agent === undefined ? "certificates" : certificateResource(agent),
        run: () =>
          Effect.map(certificates.list({ agent, before: cursor, limit: limit + 1 }), ({ rows, total }) => {
            const { next, page } = pageOf(rows, limit, ({ no }) => no)
            return {
              body: { certificates: page.map(certificateView), total, next },
              reason: `${page.length} certificates`
            }
          })
      })
  })
)

export const certificateRoutes = Effect.all([validate, issue, revoke, list], { discard: true })
