import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AgentStatistics } from "../../contracts/guardian/GuardianSchemas.ts"
import { isoOfSeconds } from "../certificates/CertificateRow.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { bounded, type DatabaseUnavailable, GuardianDatabase, rowsOf } from "../GuardianDatabase.ts"

const Row = Schema.Struct({
  agent: Schema.String,
  active: Schema.NumberFromString,
  completed: Schema.NumberFromString,
  duration: Schema.NullOr(Schema.Number)
})

/** Certificates by their rows: signatures are verified when a certificate is used. */
const CountsRow = Schema.Struct({
  certificates_in_force: Schema.NumberFromString,
  certified_agents: Schema.NumberFromString,
  active_sessions: Schema.NumberFromString
})

const statisticsRows = rowsOf(Row)
const decodeCounts = Schema.decodeUnknown(Schema.Tuple(CountsRow))

/** Counts in PostgreSQL at each call: no process keeps a number of its own. */
export class Statistics extends Context.Tag("guardian/Statistics")<
  Statistics,
  {
    /** Zeros for an unknown agent. */
    readonly of: (agent: string) => Effect.Effect<AgentStatistics, DatabaseUnavailable>
    /** One page by name, of all agents that have a session or a certificate. */
    readonly page: (query: {
      readonly limit: number
      readonly after?: string | undefined
    }) => Effect.Effect<ReadonlyArray<AgentStatistics>, DatabaseUnavailable>
    readonly counts: Effect.Effect<typeof CountsRow.Type, DatabaseUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Statistics,
    Effect.gen(function* () {
      const { read, sql } = yield* GuardianDatabase
      const certificates = yield* Certificates

      /** Of the sessions of an agent, with those that were removed. */
      const sums = sql`
        count(session.id) filter (where session.ended_at is null)::text as active,
        (count(session.id) filter (where session.end_reason = 'completed') + coalesce(max(removed.completed), 0))::text
          as completed,
        (extract(epoch from
          coalesce(sum(session.ended_at - session.started_at) filter (where session.end_reason = 'completed'), interval '0')
            + coalesce(max(removed.duration), interval '0')
        ) / nullif(
          count(session.id) filter (where session.end_reason = 'completed') + coalesce(max(removed.completed), 0), 0
        ))::float8 as duration`

      const statistics = (row: typeof Row.Type) =>
        certificates.inForce(row.agent).pipe(
          Effect.map(({ claims }) => isoOfSeconds(claims.exp)),
          Effect.catchTag("NotCertified", () => Effect.succeed(null)),
          Effect.map(
            (expires): AgentStatistics => ({
              agent: row.agent,
              active_sessions: row.active,
              completed_total: row.completed,
              avg_duration: row.duration,
              certification_expires: expires
            })
          )
        )

      return {
        of: Effect.fn("Statistics.of")(function* (agent) {
          const [row] = yield* statisticsRows(
            sql`
              select known.agent, ${sums}
              from (select ${agent}::text as agent) as known
              left join guardian.session on session.agent = known.agent
              left join guardian.removed_sessions as removed on removed.agent = known.agent
              group by known.agent`,
            read
          )
          return yield* statistics(row ?? { agent, active: 0, completed: 0, duration: null })
        }),
        page: Effect.fn("Statistics.page")(function* ({ after, limit }) {
          const known = sql`
            select known.agent, ${sums}
            from (
              select agent from guardian.session where agent > ${after ?? ""}
              union
              select agent from guardian.certificate where agent > ${after ?? ""}
              union
              select agent from guardian.removed_sessions where agent > ${after ?? ""}
              order by agent limit ${limit}
            ) as known
            left join guardian.session on session.agent = known.agent
            left join guardian.removed_sessions as removed on removed.agent = known.agent
            group by known.agent
            order by known.agent`
          return yield* Effect.forEach(yield* statisticsRows(known, read), statistics, { concurrency: 4 })
        }),
        counts: bounded(sql`
          select count(*)::text as certificates_in_force, count(distinct agent)::text as certified_agents,
            (select count(*) from guardian.session where ended_at is null)::text as active_sessions
          from guardian.certificate
          where revoked_at is null and expires_at > clock_timestamp() and signature is not null`).pipe(
          Effect.flatMap((rows) => Effect.orDie(decodeCounts(rows))),
          Effect.map(([counts]) => counts),
          Effect.withSpan("Statistics.counts")
        )
      }
    })
  ).pipe(Layer.provide(GuardianDatabase.layer))
}
