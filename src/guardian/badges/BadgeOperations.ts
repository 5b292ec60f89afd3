import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Api from "../../contracts/guardian/GuardianApi.ts"
import { BadgeNotFound } from "../../contracts/guardian/GuardianErrors.ts"
import { badgeResource } from "../../contracts/guardian/GuardianSchemas.ts"
import { audited } from "../GuardianAccess.ts"
import { Badges, badgeView } from "./Badges.ts"

interface BadgePath {
  readonly ghost: string
  readonly badge: string
}

const notFound = ({ badge, ghost }: BadgePath) =>
  new BadgeNotFound({ reason: `${ghost} has no badge ${JSON.stringify(badge)}` })

const list = Effect.flatMap(Badges, (badges) =>
  audited(Api.badges, {
    event: "badge.list",
    action: "read",
    fallbackResource: "badges",
    target: ({ path: { ghost } }) =>
      Effect.succeed({
        resource: `badges/${ghost}`,
        run: () =>
          Effect.map(badges.list(ghost), (found) => ({
            body: { ghost_id: ghost, badges: found.map(badgeView), total: found.length },
            reason: `${found.length} badges`
          }))
      })
  })
)

const read = Effect.flatMap(Badges, (badges) =>
  audited(Api.badge, {
    event: "badge.read",
    action: "read",
    fallbackResource: "badges",
    target: ({ path }) =>
      Effect.succeed({
        resource: badgeResource(path.ghost, path.badge),
        run: () =>
          Effect.flatMap(badges.find(path.ghost, path.badge), (found) =>
            found === undefined
              ? Effect.fail(notFound(path))
              : Effect.succeed({ body: badgeView(found), reason: `granted at ${DateTime.formatIso(found.grantedAt)}` })
          )
      })
  })
)

const grant = Effect.flatMap(Badges, (badges) =>
  audited(Api.grantBadge, {
    event: "badge.grant",
    action: "write",
    fallbackResource: "badges",
    target: ({ path: { badge, ghost } }) =>
      Effect.succeed({
        resource: badgeResource(ghost, badge),
        run: () =>
          Effect.map(badges.grant(ghost, badge), ({ badge: granted, isNew }) => ({
            status: isNew ? 201 : 200,
            body: badgeView(granted),
            reason: isNew ? "granted" : `granted before, at ${DateTime.formatIso(granted.grantedAt)}`,
            ...(isNew ? { compensate: badges.take(ghost, badge) } : {})
          }))
      })
  })
)

const take = Effect.flatMap(Badges, (badges) =>
  audited(Api.takeBadge, {
    event: "badge.take",
    action: "write",
    fallbackResource: "badges",
    target: ({ path }) =>
      Effect.succeed({
        resource: badgeResource(path.ghost, path.badge),
        run: () =>
          Effect.flatMap(badges.take(path.ghost, path.badge), (taken) =>
            taken === undefined
              ? Effect.fail(notFound(path))
              : Effect.succeed({
                  body: badgeView(taken),
                  reason: `taken; granted at ${DateTime.formatIso(taken.grantedAt)}`,
                  // Nothing else remembers that it was there.
                  compensate: badges.restore(taken)
                })
          )
      })
  })
)

export const badgeRoutes = Effect.all([list, read, grant, take], { discard: true })
