import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase } from "../GuardianDatabase.ts"

const BadgeRow = Schema.Struct({
  ghostId: Schema.String,
  badge: Schema.String,
  grantedAt: Schema.DateTimeUtcFromDate
})
export type Badge = typeof BadgeRow.Type

const decode = Schema.decodeUnknown(Schema.Array(BadgeRow))

/** As the HTTP answers have it; `badge_name` is the column's name, which clients of the table know. */
export const badgeView = ({ badge, ghostId, grantedAt }: Badge) => ({
  ghost_id: ghostId,
  badge_name: badge,
  granted_at: DateTime.formatIso(grantedAt)
})

/** Of one ghost: badges are granted by hand. */
const maximumBadges = 1_000

const columnNames = 'ghost_id as "ghostId", badge_name as badge, granted_at as "grantedAt"'

export interface BadgeGrant {
  readonly badge: Badge
  readonly isNew: boolean
}

/** The badges of ghosts. */
export class Badges extends Context.Tag("guardian/Badges")<
  Badges,
  {
    /** By name, at most 1 000. */
    readonly list: (ghostId: string) => Effect.Effect<ReadonlyArray<Badge>, DatabaseUnavailable>
    readonly find: (ghostId: string, badge: string) => Effect.Effect<Badge | undefined, DatabaseUnavailable>
    /** `isNew` is false where the ghost had it already: then nothing changes. */
    readonly grant: (ghostId: string, badge: string) => Effect.Effect<BadgeGrant, DatabaseUnavailable>
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
      const rowsOf = (question: Effect.Effect<unknown, DatabaseUnavailable>) =>
        Effect.flatMap(question, (rows) => Effect.orDie(decode(rows)))

      const find = Effect.fn("Badges.find")(function* (ghostId: string, badge: string) {
        const [found] = yield* rowsOf(
          bounded(
            sql`
              select ${columns} from guardian.agent_badges
              where ghost_id = ${ghostId} and badge_name = ${badge}`
          )
        )
        return found
      })

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
        find,
        list: Effect.fn("Badges.list")((ghostId) =>
          rowsOf(
            bounded(
              sql`
                select ${columns} from guardian.agent_badges where ghost_id = ${ghostId}
                order by badge_name limit ${maximumBadges}`
            )
          )
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
