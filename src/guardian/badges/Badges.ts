import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Api from "../../contracts/guardian/GuardianApi.ts"
import { badgeResource } from "../../contracts/guardian/GuardianSchemas.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { audited } from "../GuardianAccess.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase, rowsOf } from "../GuardianDatabase.ts"

const BadgeRow = Schema.Struct({
  ghostId: Schema.String,
  badge: Schema.String,
  grantedAt: Schema.DateTimeUtcFromDate
})
export type Badge = typeof BadgeRow.Type

const badgeRows = rowsOf(BadgeRow)
const decode = Schema.decodeUnknown(Schema.Array(BadgeRow))

/** As the HTTP answers have it; `badge_name` is the column's name, which clients of the table know. */
const badgeView = ({ badge, ghostId, grantedAt }: Badge) => ({
  ghost_id: ghostId,
  badge_name: badge,
  granted_at: DateTime.formatIso(grantedAt)
})

/** Of one ghost: badges are granted by hand. */
const maximumBadges = 1_000

const columnNames = 'ghost_id as "ghostId", badge_name as badge, granted_at as "grantedAt"'

export class Badges extends Context.Tag("guardian/Badges")<
  Badges,
  {
    /** By name, at most 1 000. */
    readonly list: (ghostId: string) => Effect.Effect<ReadonlyArray<Badge>, DatabaseUnavailable>
    readonly find: (ghostId: string, badge: string) => Effect.Effect<Badge | undefined, DatabaseUnavailable>
    /** `isNew` is false where the ghost had it already: then nothing changes. */
    readonly grant: (
      ghostId: string,
      badge: string
    ) => Effect.Effect<{ readonly badge: Badge; readonly isNew: boolean }, DatabaseUnavailable>
    /** The badge that was taken; undefined where there was none. */
    readonly take: (ghostId: string, badge: string) => Effect.Effect<Badge | undefined, DatabaseUnavailable>
    /** Puts back a badge that was taken, as it was. Does nothing where it was granted again meanwhile. */
    readonly restore: (taken: Badge) => Effect.Effect<void, DatabaseUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Badges,
    Effect.gen(function* () {
      const { sql, transaction } = yield* GuardianDatabase
      const columns = sql.literal(columnNames)

      /** Makes one change of a badge at a time: what its statements find stays so until the transaction's end. */
      const changing = <A>(
        ghostId: string,
        badge: string,
        body: (
          one: (text: string) => Effect.Effect<Badge | undefined, DatabaseError>
        ) => Effect.Effect<A, DatabaseError>
      ): Effect.Effect<A, DatabaseUnavailable> =>
        transaction(({ query }) =>
          Effect.zipRight(
            query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [
              `guardian.agent_badges ${ghostId}/${badge}`
            ]),
            body((text) =>
              Effect.flatMap(query(text, [ghostId, badge]), ({ rows }) =>
                Effect.map(Effect.orDie(decode(rows)), ([found]) => found)
              )
            )
          )
        )

      return {
        find: Effect.fn("Badges.find")((ghostId, badge) =>
          Effect.map(
            badgeRows(sql`
              select ${columns} from guardian.agent_badges where ghost_id = ${ghostId} and badge_name = ${badge}`),
            ([found]) => found
          )
        ),
        list: Effect.fn("Badges.list")((ghostId) =>
          badgeRows(sql`
            select ${columns} from guardian.agent_badges where ghost_id = ${ghostId}
            order by badge_name limit ${maximumBadges}`)
        ),
        grant: Effect.fn("Badges.grant")((ghostId, badge) =>
          changing(ghostId, badge, (one) =>
            Effect.gen(function* () {
              const found = yield* one(
                `select ${columnNames} from guardian.agent_badges where ghost_id = $1 and badge_name = $2`
              )
              if (found !== undefined) return { badge: found, isNew: false }
              const granted = yield* one(
                `insert into guardian.agent_badges (ghost_id, badge_name) values ($1, $2) returning ${columnNames}`
              )
              return { badge: yield* Effect.orDie(Effect.fromNullable(granted)), isNew: true }
            })
          )
        ),
        take: Effect.fn("Badges.take")((ghostId, badge) =>
          changing(ghostId, badge, (one) =>
            one(`delete from guardian.agent_badges where ghost_id = $1 and badge_name = $2 returning ${columnNames}`)
          )
        ),
        restore: Effect.fn("Badges.restore")(function* ({ badge, ghostId, grantedAt }) {
          yield* bounded(sql`
            insert into guardian.agent_badges (ghost_id, badge_name, granted_at)
            values (${ghostId}, ${badge}, ${DateTime.toDateUtc(grantedAt)})
            on conflict (ghost_id, badge_name) do nothing`)
        })
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}

interface BadgePath {
  readonly ghost: string
  readonly badge: string
}

/** The badge as it was found, or the answer that the ghost does not have it. */
const orNotFound = ({ badge, ghost }: BadgePath) =>
  Effect.flatMap((found: Badge | undefined) =>
    found === undefined
      ? Effect.fail(new Api.BadgeNotFound({ reason: `${ghost} has no badge ${JSON.stringify(badge)}` }))
      : Effect.succeed(found)
  )

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

/** Runs an operation on the badge that the path names. */
const onBadge =
  <A, E>(run: (path: BadgePath) => Effect.Effect<A, E>) =>
  ({ path }: { readonly path: BadgePath }) =>
    Effect.succeed({ resource: badgeResource(path.ghost, path.badge), run: () => run(path) })

const read = Effect.flatMap(Badges, (badges) =>
  audited(Api.badge, {
    event: "badge.read",
    action: "read",
    fallbackResource: "badges",
    target: onBadge((path) =>
      badges.find(path.ghost, path.badge).pipe(
        orNotFound(path),
        Effect.map((found) => ({ body: badgeView(found), reason: `granted at ${DateTime.formatIso(found.grantedAt)}` }))
      )
    )
  })
)

const grant = Effect.flatMap(Badges, (badges) =>
  audited(Api.grantBadge, {
    event: "badge.grant",
    action: "write",
    fallbackResource: "badges",
    target: onBadge(({ badge, ghost }) =>
      Effect.map(badges.grant(ghost, badge), ({ badge: granted, isNew }) => ({
        status: isNew ? 201 : 200,
        body: badgeView(granted),
        reason: isNew ? "granted" : `granted before, at ${DateTime.formatIso(granted.grantedAt)}`,
        ...(isNew ? { compensate: badges.take(ghost, badge) } : {})
      }))
    )
  })
)

const take = Effect.flatMap(Badges, (badges) =>
  audited(Api.takeBadge, {
    event: "badge.take",
    action: "write",
    fallbackResource: "badges",
    target: onBadge((path) =>
      badges.take(path.ghost, path.badge).pipe(
        orNotFound(path),
        Effect.map((taken) => ({
          body: badgeView(taken),
          reason: `taken; granted at ${DateTime.formatIso(taken.grantedAt)}`,
          // Nothing else remembers that it was there.
          compensate: badges.restore(taken)
        }))
      )
    )
  })
)

export const badgeRoutes = Effect.all([list, read, grant, take], { discard: true })
