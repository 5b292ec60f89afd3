import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { answering, Refused } from "./Answering.ts"
import { Badges } from "./badges/Badges.ts"
import { badgeTasks } from "./badges/BadgeTasks.ts"
import { type CertificateRow, isoOfMicros, isoOfSeconds } from "./certificates/CertificateRow.ts"
import { Certificates } from "./certificates/Certificates.ts"
import { certificateResource } from "./Names.ts"
import { badgePathOf, bodyOf, certificateIdOf, optionalBodyOf, queryOf } from "./Reading.ts"
import { type IssueRequest, parseIssue, parseRevocation } from "./RequestBodies.ts"
import { cursorOf, type ListQuery, type QueryShape, rowNumber } from "./RequestQuery.ts"
import { Statistics } from "./Statistics.ts"
import { sessionView } from "./sessions/SessionRow.ts"
import { Sessions } from "./sessions/Sessions.ts"

/** The list was whole before it had pages: clients that know of none get as much as a page may hold. */
const certificatesShape: QueryShape = { known: ["agent", "limit", "cursor"], standardLimit: 1_000, cursor: rowNumber }

const sessionsShape: QueryShape = {
  known: ["agent", "active", "limit", "cursor"],
  standardLimit: 100,
  cursor: rowNumber
}

const statsShape: QueryShape = { known: ["agent", "limit", "cursor"], standardLimit: 100, cursor: /^[^\0/]{1,200}$/ }

const certificateView = (row: CertificateRow & { readonly stands: boolean }) => ({
  agent: row.agent,
  issued_at: isoOfMicros(row.issuedMicros),
  expires_at: isoOfMicros(row.expiresMicros),
  version: row.version,
  is_expired: row.isExpired,
  id: row.id,
  key_id: row.keyId,
  revoked_at: row.revokedAt === null ? null : DateTime.formatIso(row.revokedAt),
  is_verified: row.stands
})

/** A page of `limit` rows, of which one more was asked for: it tells whether there is a next page. */
const pageOf = <A>(rows: ReadonlyArray<A>, limit: number, place: (row: A) => string) => {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, next: rows.length > limit && last !== undefined ? cursorOf(place(last)) : null }
}

const unknownCertificate = (id: string) =>
  new Refused({ code: "certificate_not_found", reason: `there is no certificate ${id}` })

const within = (collection: string) => (query: ListQuery) =>
  query.agent === undefined ? collection : `${collection}/${query.agent}`

interface Revoking {
  readonly id: string
  readonly reason: string | null
  /** Undefined where no certificate has the id. */
  readonly agent: string | undefined
}

const certificateTasks = (certificates: typeof Certificates.Service) => ({
  issue: {
    event: "certificate.issue",
    may: "write",
    within: "certificates",
    resource: ({ agent }: IssueRequest) => certificateResource(agent),
    work: (given: IssueRequest) =>
      Effect.map(certificates.issue(given), ({ claims, keyId, signature }) => {
        const expires = isoOfSeconds(claims.exp)
        return {
          status: 201,
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
          metadata: { certificate_id: claims.jti, version: claims.version, key_id: keyId },
          undo: certificates.revoke(claims.jti, { ghostId: "guardian", reason: "its issue could not be recorded" })
        } as const
      })
  } as const,
  revoke: {
    event: "certificate.revoke",
    may: "write",
    within: "certificates",
    resource: ({ agent, id }: Revoking) => certificateResource(agent ?? id),
    work: (given: Revoking, caller: { readonly ghostId: string }) =>
      Effect.gen(function* () {
        if (given.agent === undefined) return yield* unknownCertificate(given.id)
        const revoked = yield* certificates.revoke(given.id, { ghostId: caller.ghostId, reason: given.reason })
        if (revoked === undefined) return yield* unknownCertificate(given.id)
        const { agent, id, reason, revokedAt, sessions } = revoked
        return {
          body: { id, agent, revoked_at: revokedAt, reason, sessions_ended: sessions.length },
          reason: `revoked at ${revokedAt}${reason === null ? "" : `: ${reason}`}`,
          metadata: { certificate_id: id, sessions_ended: sessions.length, sessions: sessions.slice(0, 20) },
          undo: "stands"
        } as const
      })
  } as const,
  list: {
    event: "certificate.list",
    may: "read",
    within: "certificates",
    resource: within("certificates"),
    work: ({ after, agent, limit }: ListQuery) =>
      Effect.map(certificates.list({ agent, before: after, limit: limit + 1 }), ({ rows, total }) => {
        const { next, page } = pageOf(rows, limit, ({ no }) => no)
        return { body: { certificates: page.map(certificateView), total, next }, reason: `${page.length} certificates` }
      })
  } as const
})

const sessionList = (sessions: typeof Sessions.Service) =>
  ({
    event: "session.list",
    may: "read",
    within: "sessions",
    resource: within("sessions"),
    work: ({ active, after, agent, limit }: ListQuery) =>
      Effect.map(sessions.list({ agent, active, before: after, limit: limit + 1 }), (rows) => {
        const { next, page } = pageOf(rows, limit, ({ no }) => no)
        return { body: { sessions: page.map(sessionView), next }, reason: `${page.length} sessions` }
      })
  }) as const

const stats = (statistics: typeof Statistics.Service) =>
  ({
    event: "session.stats",
    may: "read",
    within: "sessions",
    resource: within("sessions"),
    work: ({ after, agent, limit }: ListQuery) =>
      agent === undefined
        ? Effect.map(statistics.page({ after, limit: limit + 1 }), (rows) => {
            const { next, page } = pageOf(rows, limit, (row) => row.agent)
            return { body: { agents: page, next }, reason: `statistics of ${page.length} agents` }
          })
        : Effect.map(statistics.of(agent), (body) => ({ body, reason: "statistics of one agent" }))
  }) as const

/** What those who look after agents ask. */
export const registerHandlers = HttpApiBuilder.group(GuardianApi, "register", (group) =>
  Effect.map(
    Effect.all([answering, Certificates, Sessions, Badges, Statistics]),
    ([answer, certificates, sessions, badges, statistics]) => {
      const certificate = certificateTasks(certificates)
      const badge = badgeTasks(badges)
      const listing = sessionList(sessions)
      const counting = stats(statistics)
      return group
        .handleRaw("issue", ({ request }) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            answer(certificate.issue, request, bodyOf((body) => parseIssue(body, Math.floor(now / 1_000)))(request))
          )
        )
        .handleRaw("revoke", ({ path, request }) =>
          answer(
            certificate.revoke,
            request,
            Effect.gen(function* () {
              const id = yield* certificateIdOf(path.id)
              const { reason } = yield* optionalBodyOf(parseRevocation)(request)
              return { id, reason, agent: (yield* certificates.find(id))?.agent }
            })
          )
        )
        .handleRaw("certificates", ({ request }) =>
          answer(certificate.list, request, queryOf(certificatesShape)(request))
        )
        .handleRaw("sessions", ({ request }) => answer(listing, request, queryOf(sessionsShape)(request)))
        .handleRaw("stats", ({ request }) => answer(counting, request, queryOf(statsShape)(request)))
        .handleRaw("badges", ({ path, request }) => answer(badge.list, request, badgePathOf(path)))
        .handleRaw("badge", ({ path, request }) => answer(badge.read, request, badgePathOf(path)))
        .handleRaw("grantBadge", ({ path, request }) => answer(badge.grant, request, badgePathOf(path)))
        .handleRaw("takeBadge", ({ path, request }) => answer(badge.take, request, badgePathOf(path)))
    }
  )
)
