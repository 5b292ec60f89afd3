import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { GuardianDatabase } from "../../../src/guardian/GuardianDatabase.ts"
import { removalBatch, removeEnded, removeSessions } from "../../../src/guardian/sessions/SessionRetention.ts"
import { type NewSession, Sessions } from "../../../src/guardian/sessions/Sessions.ts"
import { Statistics } from "../../../src/guardian/sessions/Statistics.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { rowsOf } from "../../support/Gravitas.ts"
import { guardianRooms } from "../../support/GuardianLayers.ts"
import { migratedDatabase } from "../../support/TestDatabase.ts"

class Url extends Context.Tag("test/Url")<Url, Redacted.Redacted>() {}

const rooms = Layer.unwrapScoped(
  Effect.map(migratedDatabase, (url) =>
    Layer.mergeAll(Sessions.layer, Statistics.layer, GuardianDatabase.layer).pipe(
      Layer.provideMerge(Certificates.layer),
      Layer.provide(SigningKeys.layer),
      Layer.provide(guardianRooms(url)),
      Layer.merge(Layer.succeed(Url, url))
    )
  )
)

/** A session about to be started, whose certificate was in force a moment ago. */
const certified = Effect.gen(function* () {
  const certificates = yield* Certificates
  const agent = randomUUID()
  const now = Math.floor(Date.now() / 1_000)
  const { claims } = yield* certificates.issue({ agent, version: 1, issuedAt: now, expiresAt: now + 3_600 })
  const starting: NewSession = {
    agent,
    sessionId: randomUUID(),
    certificate: yield* certificates.inForce(agent),
    requestId: "r",
    metadata: {}
  }
  return { id: claims.jti, starting }
})

/** Another session of the database, with a transaction that has done `text` and waits. */
const holding = (text: string, values: ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    const other = yield* connect({ url: yield* Url, applicationName: "gravitas test" })
    yield* other.query("begin")
    yield* other.query(text, values)
    return other.query("commit")
  })

layer(rooms, { timeout: "60 seconds", excludeTestServices: true })("A session", (it) => {
  it.effect("does not start on a certificate that was revoked, or edited, since it was looked at", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const revoked = yield* certified
      yield* (yield* Certificates).revoke(revoked.id, { ghostId: "admin", reason: null })
      expect(yield* sessions.start(revoked.starting)).toBe(false)
      const edited = yield* certified
      const url = yield* Url
      yield* rowsOf(url, "alter table guardian.certificate disable trigger certificate_only_revoked")
      yield* rowsOf(url, "update guardian.certificate set signature = 'other' where jti = $1", [edited.id])
      yield* rowsOf(url, "alter table guardian.certificate enable always trigger certificate_only_revoked")
      expect(yield* sessions.start(edited.starting)).toBe(false)
    })
  )

  it.scoped("waits for a revocation that is under way, and does not start then", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { id, starting } = yield* certified
      const commit = yield* holding("update guardian.certificate set revoked_at = now() where jti = $1", [id])
      const start = yield* Effect.fork(sessions.start(starting))
      yield* Effect.sleep("300 millis")
      expect(Option.isNone(yield* Fiber.poll(start))).toBe(true)
      yield* commit
      expect(yield* Fiber.join(start)).toBe(false)
      expect(yield* sessions.find(starting)).toBeUndefined()
    })
  )

  it.scoped("that another guardian has locked delays no other session's expiry", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const [held, silent] = [yield* certified, yield* certified]
      for (const { starting } of [held, silent]) expect(yield* sessions.start(starting)).toBe(true)
      const commit = yield* holding("select from guardian.session where session_id = $1 for update", [
        held.starting.sessionId
      ])
      yield* Effect.sleep("20 millis")
      const names = Effect.map(sessions.expire(Duration.millis(10)), (rows) => rows.map(({ sessionId }) => sessionId))
      expect(yield* Effect.timeout(names, "20 seconds")).toEqual([silent.starting.sessionId])
      yield* commit
      expect(yield* names).toEqual([held.starting.sessionId])
      expect(yield* names).toEqual([])
    })
  )

  it.effect("is ended and kept alive as its agent's only", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { starting } = yield* certified
      const { agent, sessionId } = starting
      yield* sessions.start(starting)
      const other = { sessionId, agent: randomUUID() }
      expect(yield* sessions.end(other, null)).toBeUndefined()
      expect(yield* sessions.beat(other)).toBeUndefined()
      expect((yield* sessions.beat({ sessionId, agent }))?.endedAt).toBeNull()
      expect((yield* sessions.end({ sessionId, agent }, "out"))?.endReason).toBe("completed")
      expect(yield* sessions.end(other, null)).toBeUndefined()
    })
  )

  it.effect("has a name of its agent's own, by which it is found, kept and ended", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const [first, second] = [yield* certified, yield* certified]
      const { sessionId } = first.starting
      const [one, other] = [first.starting, { ...second.starting, sessionId }]
      const agents = (rows: ReadonlyArray<{ readonly agent: string }>) => rows.map(({ agent }) => agent)
      for (const starting of [one, other]) expect(yield* sessions.start(starting)).toBe(true)
      for (const starting of [one, other]) expect(yield* sessions.start(starting)).toBe(false)
      expect(agents(yield* sessions.named(sessionId, undefined))).toEqual([one.agent, other.agent])
      expect(agents(yield* sessions.named(sessionId, other.agent))).toEqual([other.agent, one.agent])
      const timeout = Duration.minutes(15)
      yield* rowsOf(
        yield* Url,
        "update guardian.session set started_at = '2026-01-01', last_seen_at = '2026-01-01' where session_id = $1",
        [sessionId]
      )
      const seen = (which: typeof one) => Effect.map(sessions.find(which), (row) => row?.lastSeenAt.epochMillis ?? 0)
      const before = yield* seen(one)
      expect(agents(yield* sessions.keep([other], timeout))).toEqual([other.agent])
      expect(yield* seen(one)).toBe(before)
      expect(yield* seen(other)).toBeGreaterThan(before)
      expect(agents(yield* sessions.finish([{ sessionId, agent: randomUUID() }, other]))).toEqual([other.agent])
      expect((yield* sessions.find(one))?.endedAt).toBeNull()
      // A withdrawn start is as if it had not been, and its name is used again.
      yield* sessions.withdraw(one)
      expect(agents(yield* sessions.named(sessionId, one.agent))).toEqual([other.agent])
      expect(yield* sessions.start(one)).toBe(true)
    })
  )

  it.scoped(
    "is removed some time after its end, oldest first and in batches; the statistics count it all the same",
    () =>
      Effect.gen(function* () {
        const statistics = yield* Statistics
        const url = yield* Url
        const agent = randomUUID()
        // An hour each: 700 completed and 2 withdrawn ones of years ago, one expired a day ago, one active since then.
        yield* rowsOf(
          url,
          `insert into guardian.session (session_id, agent, started_at, last_seen_at, ended_at, end_reason)
         select name, $1, began, began, case when reason is not null then began + interval '1 hour' end, reason
         from (
           select 'old' || i as name, timestamptz '2020-01-01' + i * interval '1 minute' as began, 'completed' as reason
           from generate_series(1, 700) as i
           union all select 'withdrawn' || i, '2020-01-01', 'withdrawn' from generate_series(1, 2) as i
           union all select 'expired', now() - interval '1 day', 'expired'
           union all select 'active', '2020-01-01', null
         ) as given`,
          [agent]
        )
        const left = rowsOf(url, "select session_id from guardian.session where agent = $1 order by session_id", [
          agent
        ])
        const counted = statistics.of(agent)
        const before = yield* counted
        expect(before).toMatchObject({ active_sessions: 1, completed_total: 700, avg_duration: 3_600 })
        const commit = yield* holding(
          "select from guardian.session where agent = $1 and session_id = 'old700' for update",
          [agent]
        )
        const ninety = Duration.days(90)
        const other = yield* connect({ url, applicationName: "gravitas test" })
        // The planner prefers a scan of the whole table where it is so small.
        yield* other.query("set enable_seqscan = off")
        const { rows: plan } = yield* other.query(`explain ${removeEnded.replace("$1", "7776000")}`)
        expect(plan.map((line) => line["QUERY PLAN"]).join("\n")).toMatch(
          /session_ended .*\n *Index Cond: \(ended_at </
        )
        // Another guardian's lock is not waited for.
        const counts = [yield* removeSessions(ninety), yield* removeSessions(ninety), yield* removeSessions(ninety)]
        expect(counts).toEqual([removalBatch, 701 - removalBatch, 0])
        yield* commit
        expect(yield* counted).toEqual(before)
        expect(yield* removeSessions(ninety)).toBe(1)
        expect(yield* left).toEqual([{ session_id: "active" }, { session_id: "expired" }])
        expect(yield* counted).toEqual(before)
        expect(yield* statistics.page({ limit: 1_000 })).toContainEqual(before)
        expect(yield* removeSessions(Duration.hours(1))).toBe(1)
        expect(yield* counted).toEqual(before)
        expect(yield* statistics.of(randomUUID())).toMatchObject({ completed_total: 0, avg_duration: null })
      })
  )
})
