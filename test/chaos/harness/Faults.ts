import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Struct from "effect/Struct"
import type { PCGRandom } from "effect/Utils"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import type { TcpProxy } from "../../support/TcpProxy.ts"
import type { TestPostgres } from "../../support/TestPostgres.ts"
import { administer, as, roles } from "./Roles.ts"

/** What faults happen to. */
export interface Stage {
  readonly postgres: TestPostgres
  /** Between the gatekeeper and PostgreSQL. */
  readonly proxy: TcpProxy
  readonly random: PCGRandom
}

/** Returns once it has begun, and lasts until the scope closes; then all is as it was before. */
export type Fault = (stage: Stage) => Effect.Effect<unknown, never, Scope.Scope>

const lasting = (begin: Effect.Effect<unknown>, end: Effect.Effect<unknown>) => Effect.acquireRelease(begin, () => end)

const session = (url: Redacted.Redacted) => connect({ url, applicationName: "gravitas chaos" })

const monthAhead = (months: number) =>
  `to_char(date_trunc('month', now() at time zone 'utc') + interval '${months} months', '"audit_log_"YYYY_MM')`

/** Drops the partition of a coming month; fails when it has rows. */
export const dropPartition = (url: Redacted.Redacted, months: number) =>
  administer(
    url,
    `do $$ begin
       if exists (select from gatekeeper.audit_log where tableoid = to_regclass('gatekeeper.' || ${monthAhead(months)})) then
         raise exception 'the partition has rows';
       end if;
       execute format('drop table gatekeeper.%I', ${monthAhead(months)});
     end $$`
  )

/** All connections that the server has; the gatekeeper's are ended for it. */
const takeAllConnections = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const first = yield* Effect.orDie(session(url))
    const fill = Effect.ignore(Effect.forever(session(url)))
    const endOthers = first.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where backend_type = 'client backend' and application_name <> 'gravitas chaos'`
    )
    // Sessions that reconnect in the meantime are ended again.
    yield* fill.pipe(
      Effect.zipRight(Effect.orDie(endOthers)),
      Effect.repeat({ until: ({ rowCount }) => rowCount === 0 })
    )
  })

/** Lost before or after the server has heard it, or anywhere in what is said to it. */
const cutAtCommit = ({ proxy, random }: Stage) =>
  Effect.gen(function* () {
    yield* proxy.loseAnswerTo("commit")
    yield* proxy.cutBefore("commit")
    yield* proxy.cutAfter(random.integer(20_000))
  }).pipe(Effect.forever, Effect.forkScoped)

const setReadOnly = (url: Redacted.Redacted, value: "on" | "off") =>
  administer(url, `alter system set default_transaction_read_only to ${value}`, "select pg_reload_conf()")

const insertOf = (verb: "grant" | "revoke") =>
  `${verb} insert on gatekeeper.audit_log ${verb === "grant" ? "to" : "from"} gravitas_gatekeeper`

export const faults = {
  stop: ({ postgres }) => lasting(postgres.stop, Effect.orDie(postgres.start)),
  pause: ({ postgres }) => lasting(postgres.pause, postgres.resume),
  restart: ({ postgres }) => Effect.zipRight(postgres.stop, Effect.orDie(postgres.start)),
  crash: ({ postgres }) => lasting(postgres.kill, Effect.orDie(postgres.start)),
  commit: cutAtCommit,
  readonly: ({ postgres }) => lasting(setReadOnly(postgres.url, "on"), setReadOnly(postgres.url, "off")),
  connections: ({ postgres }) => takeAllConnections(postgres.url),
  revoke: ({ postgres }) =>
    lasting(administer(postgres.url, insertOf("revoke")), administer(postgres.url, insertOf("grant"))),
  lock: ({ postgres }) =>
    session(postgres.url).pipe(
      Effect.tap((holder) => holder.query("begin")),
      Effect.tap((holder) => holder.query("lock table gatekeeper.audit_log in access exclusive mode")),
      Effect.orDie
    ),
  /** While a reader reads on, a partition of the months to come is made: neither waits for the other, nor the drain for both. */
  reader: ({ postgres }) =>
    Effect.gen(function* () {
      yield* dropPartition(postgres.url, 2)
      const reader = yield* session(postgres.url)
      yield* reader.query("begin isolation level repeatable read")
      yield* reader.query("select count(*) from gatekeeper.audit_log")
      const maker = yield* session(as(postgres.url, roles.application))
      yield* maker.query("select gatekeeper.audit_make_partitions_ahead()")
    }).pipe(Effect.orDie)
} satisfies Readonly<Record<string, Fault>>

/** `partition`: this month's is missing when the first event comes. It is the first of all: afterwards there are rows in it. */
export type FaultName = "partition" | keyof typeof faults

export const faultNames: ReadonlyArray<FaultName> = ["partition", ...Struct.keys(faults)]
