import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Refused, type Task } from "../Answering.ts"
import { badgeResource } from "../Names.ts"
import { type Badges, badgeView } from "./Badges.ts"

interface OneBadge {
  readonly ghost: string
  readonly badge: string
}

const missing = ({ badge, ghost }: OneBadge) =>
  new Refused({ code: "badge_not_found", reason: `${ghost} has no badge ${JSON.stringify(badge)}` })

const resource = ({ badge, ghost }: OneBadge) => badgeResource(ghost, badge)

/** What can be asked of badges. */
export const badgeTasks = (badges: typeof Badges.Service) => {
  const list: Task<{ readonly ghost: string }> = {
    event: "badge.list",
    may: "read",
    within: "badges",
    resource: ({ ghost }) => `badges/${ghost}`,
    work: ({ ghost }) =>
      Effect.map(badges.list(ghost), (found) => ({
        body: { ghost_id: ghost, badges: found.map(badgeView), total: found.length },
        reason: `${found.length} badges`
      }))
  }
  const read: Task<OneBadge> = {
    event: "badge.read",
    may: "read",
    within: "badges",
    resource,
    work: (asked) =>
      Effect.flatMap(badges.find(asked.ghost, asked.badge), (found) =>
        found === undefined
          ? Effect.fail(missing(asked))
          : Effect.succeed({ body: badgeView(found), reason: `granted at ${DateTime.formatIso(found.grantedAt)}` })
      )
  }
  const grant: Task<OneBadge> = {
    event: "badge.grant",
    may: "write",
    within: "badges",
    resource,
    work: (asked) =>
      Effect.map(
        badges.grant(asked.ghost, asked.badge),
        ({ badge, isNew }) =>
          ({
            status: isNew ? 201 : 200,
            body: badgeView(badge),
            reason: isNew ? "granted" : `granted before, at ${DateTime.formatIso(badge.grantedAt)}`,
            ...(isNew ? { undo: badges.take(asked.ghost, asked.badge) } : {})
          }) as const
      )
  }
  const take: Task<OneBadge> = {
    event: "badge.take",
    may: "write",
    within: "badges",
    resource,
    work: (asked) =>
      Effect.flatMap(badges.take(asked.ghost, asked.badge), (taken) =>
        taken === undefined
          ? Effect.fail(missing(asked))
          : Effect.succeed({
              body: badgeView(taken),
              reason: `taken; granted at ${DateTime.formatIso(taken.grantedAt)}`,
              // Nothing else tells that it was there.
              undo: badges.restore(taken)
            })
      )
  }
  return { list, read, grant, take }
}
