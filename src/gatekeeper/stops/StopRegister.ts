import { randomUUID } from "node:crypto"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { boundedQuery } from "../../audit/store/TrailUnreachable.ts"
import { openStopBook, type StopBook, Stops } from "../../clients/Stops.ts"
import { Revocation } from "../../domain/Stops.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { gatekeeperSchema } from "../GatekeeperSchema.ts"

/** Where a revocation is kept, besides the memory of this process. */
type Kept = "table" | "home" | "nowhere"

/** How often the table is read: another gatekeeper, or a command, may have written to it. */
const readInterval = "1 second"

/** How long a statement may take. The answer to a stop waits for one at most; in effect it is before. */
const deadline = "2 seconds"

/** PostgreSQL did not answer, or refused. */
class TableUnreachable extends Schema.TaggedError<TableUnreachable>()("TableUnreachable", { reason: Schema.String }) {
  override get message(): string {
    return `the table of stops cannot be written: ${this.reason}. While PostgreSQL is away, use POST /ghosts/<ghost>/stop of a gatekeeper`
  }
}

const Row = Schema.Struct({
  ...Revocation.fields,
  no: Schema.NumberFromString,
  at: Schema.NumberFromString
})

const selectAfter = (sql: SqlClient.SqlClient, no: number) => sql`
  select no::text as no, id::text as id, kind, subject, effect, (extract(epoch from at) * 1000)::bigint::text as at,
    made_by as by, reason
  from gatekeeper.revocation where no > ${no} order by no`

/** A repeat, after an answer that was lost, changes nothing. */
const insert = (sql: SqlClient.SqlClient, { at, by, effect, id, kind, reason, subject }: Revocation) => sql`
  insert into gatekeeper.revocation (id, kind, subject, effect, at, made_by, reason)
  values (${id}::uuid, ${kind}, ${subject}, ${effect}, to_timestamp(${at}::bigint / 1000.0), ${by}, ${reason})
  on conflict (id) do nothing`

/** Writes one to the table. */
export const writeRevocation = (sql: SqlClient.SqlClient, revocation: Revocation) =>
  Effect.mapError(
    boundedQuery(Schema.Unknown, insert(sql, revocation), deadline),
    ({ reason }) => new TableUnreachable({ reason })
  )

/** Inserts what has no number yet, in order, then reads what is new, which gives the inserted their numbers. */
export const synchronize = (sql: SqlClient.SqlClient, book: Pick<StopBook, "all" | "add">) =>
  Effect.gen(function* () {
    const all = book.all()
    yield* Effect.forEach(
      all.filter(({ no }) => no === null),
      (revocation) => writeRevocation(sql, revocation),
      { discard: true }
    )
    const last = all.reduce((greatest, { no }) => Math.max(greatest, no ?? 0), 0)
    yield* book.add(yield* boundedQuery(Schema.Array(Row), selectAfter(sql, last), deadline))
  })

/** The stops of the gatekeeper: in `gatekeeper.revocation`, in memory, and in its home. */
export class StopRegister extends Context.Tag("gatekeeper/stops/StopRegister")<
  StopRegister,
  {
    readonly book: StopBook
    /** Makes it take effect at once, then keeps it. Never fails: a stop that nothing keeps is in effect until the process ends. */
    readonly enter: (
      revocation: Omit<Revocation, "no" | "id" | "at">
    ) => Effect.Effect<{ readonly revocation: Revocation; readonly kept: Kept }>
  }
>() {
  static readonly layer = Layer.scoped(
    StopRegister,
    Effect.gen(function* () {
      const database = yield* Database
      const sql = database.pool("gatekeeper")
      const book = yield* openStopBook("gatekeeper")
      let problem: string | undefined
      const one = yield* Effect.makeSemaphore(1)
      /** Returns whether the table was reached. */
      const read = synchronize(sql, book).pipe(
        Effect.as(undefined),
        Effect.catchAll(({ reason }) => Effect.succeed(reason)),
        Effect.catchAllDefect((defect) => Effect.succeed(String(defect))),
        Effect.tap((now) => {
          if (now === problem) return Effect.void
          problem = now
          return now === undefined
            ? Effect.logInfo("The table of stops is read again.")
            : Effect.logWarning(`The table of stops cannot be read; the stops that are known stay in effect: ${now}`)
        }),
        Effect.map((now) => now === undefined),
        one.withPermits(1),
        Effect.zipLeft(Effect.suspend(() => book.save))
      )
      // What was stopped is known before the first decision, unless PostgreSQL is away: then by the copy.
      yield* read
      yield* Effect.forkScoped(Effect.repeat(read, Schedule.spaced(readInterval)))
      return {
        book,
        enter: (given) =>
          Effect.gen(function* () {
            const id = randomUUID()
            const at = yield* Clock.currentTimeMillis
            const revocation = { ...given, id, at, no: null }
            yield* book.add([revocation])
            const isSaved = yield* book.save
            const isStored = yield* read
            return { revocation, kept: isStored ? "table" : isSaved ? "home" : "nowhere" } as const
          }).pipe(Effect.uninterruptible)
      }
    })
  ).pipe(Layer.provide(gatekeeperSchema.layer))

  /** The same for the other services of this process. It is never silent: nothing is between. */
  static readonly stops = Layer.effect(
    Stops,
    Effect.map(StopRegister, ({ book }) => ({ ...book, feedProblem: Effect.succeed(undefined) }))
  ).pipe(Layer.provide(StopRegister.layer))
}
