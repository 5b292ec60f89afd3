import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { all, countsOf, idsOf, openLetters, told, why, withLetters } from "../../support/DeadLetters.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { query } from "../../support/Trail.ts"

it.scopedLive("a letter is replayed from its original bytes, counted, and told of in the trail", () =>
  Effect.gen(function* () {
    const { letters, rows, source, url } = yield* withLetters(2)
    const [first] = rows
    const outcomes = yield* letters.replay({ ids: idsOf(rows.slice(0, 1)), by: "Ada" })
    expect(outcomes).toEqual([
      { eventId: first?.id, leafHash: first?.leafHash, outcome: "replayed", detail: null, auditId: expect.any(String) }
    ])
    expect(
      yield* query(
        url,
        "select id, seq::integer, encode(leaf_hash, 'hex') as hash, metadata from gatekeeper.audit_log where source = $1",
        [source]
      )
    ).toEqual([{ id: first?.id, seq: 1, hash: first?.leafHash, metadata: { complexity: 5 } }])
    expect(yield* countsOf(url, source)).toEqual({ last: 2, committed: 1, letters: 2, replayed: 1 })
    expect(yield* told(url)).toEqual([
      { id: first?.id, outcome: "replayed", resource: `audit/dead-letters/${first?.id}`, ghost_id: null }
    ])
    const [record] = yield* query(url, "select event_id, by, outcome from gatekeeper.audit_dead_letter_replay")
    expect(record).toEqual({ event_id: first?.id, by: "Ada", outcome: "replayed" })
    // The incarnation that replayed is a whole one.
    expect(
      yield* query(
        url,
        `select last_seq::integer as last, signed_off_seq::integer as signed, committed::integer, durability,
           started_at is not null as known
         from gatekeeper.audit_source where source <> $1`,
        [source]
      )
    ).toEqual([{ last: 1, signed: 1, committed: 1, durability: "commit", known: true }])
  })
)

it.scopedLive(
  "whatever is replayed how often and by how many, each row is there once, counted once and told of once",
  () =>
    Effect.gen(function* () {
      const { letters, rows, source, url } = yield* withLetters(8)
      const subset = FastCheck.subarray(rows, { minLength: 1 })
      const [turns] = FastCheck.sample(
        FastCheck.array(FastCheck.tuple(subset, subset), { minLength: 3, maxLength: 6 }),
        1
      )
      const replayed = new Set<string>()
      for (const pair of turns ?? []) {
        // Two at once.
        const outcomes = yield* Effect.forEach(
          pair,
          (some) => letters.replay({ ids: idsOf(some.toReversed()), by: "Ada" }),
          { concurrency: 2 }
        )
        const fresh = outcomes.flat().filter(({ outcome }) => outcome === "replayed")
        expect(outcomes.flat().every(({ outcome }) => outcome === "replayed" || outcome === "settled")).toBe(true)
        for (const { eventId } of fresh) {
          expect(replayed.has(eventId)).toBe(false)
          replayed.add(eventId)
        }
        for (const { id } of pair.flat()) expect(replayed.has(id)).toBe(true)
        expect(yield* countsOf(url, source)).toEqual({
          ...{ last: 8, letters: 8 },
          ...{ committed: replayed.size, replayed: replayed.size }
        })
      }
      expect((yield* letters.replay(all)).length).toBe(8 - replayed.size)
      expect(yield* letters.replay(all)).toEqual([])
      const written = yield* query(url, "select id from gatekeeper.audit_log where source = $1 order by id", [source])
      expect(written.map(({ id }) => id)).toEqual(idsOf(rows))
      expect((yield* told(url)).map(({ id }) => id).toSorted()).toEqual(idsOf(rows))
      // A replay that did nothing left no record.
      const idle = yield* query(url, "select from gatekeeper.audit_source where last_seq = 0")
      expect(idle).toEqual([])
      const short =
        "select from gatekeeper.audit_source where source <> $1 and signed_off_seq is distinct from last_seq"
      expect(yield* query(url, short, [source])).toEqual([])
    })
)

it.scopedLive("what the table refuses still stays a letter, with the reason; the others are replayed", () =>
  Effect.gen(function* () {
    const { letters, rows, source, store, url } = yield* withLetters(4)
    const [known, still] = rows
    if (known === undefined || still === undefined) return
    // The table holds another event under the first one's id, and takes the second one's action no more.
    const other = { ...known, leafHash: "0".repeat(64), source: crypto.randomUUID() }
    yield* store.append([other], { certain: false })
    yield* query(url, `alter table gatekeeper.audit_log add check (seq <> ${still.seq} or result = 'REPLAYED')`)
    const outcomes = yield* letters.replay(all)
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["refused", "failed", "replayed", "replayed"])
    expect(outcomes[0]?.detail).toBe("the table holds another event under this id")
    expect(outcomes[1]?.detail).toContain("SQLSTATE 23514")
    expect(yield* countsOf(url, source)).toEqual({ last: 4, committed: 2, letters: 4, replayed: 2 })
    expect((yield* told(url)).length).toBe(2)
    const [shown] = yield* letters.show(still.id)
    expect(shown?.tries.map(({ by, outcome }) => [by, outcome])).toEqual([["Ada", "failed"]])
    yield* query(url, "alter table gatekeeper.audit_log drop constraint audit_log_check")
    expect((yield* letters.replay(all)).map(({ outcome }) => outcome)).toEqual(["refused", "replayed"])
    expect((yield* letters.show(still.id))[0]?.tries.map(({ outcome }) => outcome)).toEqual(["failed", "replayed"])
  })
)

it.scopedLive("a row that came into the table without being counted is found present, and counted then", () =>
  Effect.gen(function* () {
    const { letters, rows, source, url } = yield* withLetters(1)
    yield* query(
      url,
      `insert into gatekeeper.audit_log (id, timestamp, source, seq, result, metadata, marks, leaf_hash)
       select event_id, now(), source, seq, 'ALLOWED', '{}', '{}', leaf_hash from gatekeeper.audit_dead_letter`
    )
    expect((yield* letters.replay(all)).map(({ outcome }) => outcome)).toEqual(["present"])
    expect((yield* letters.replay({ ids: idsOf(rows), by: "Ada" })).map(({ outcome }) => outcome)).toEqual(["settled"])
    expect(yield* countsOf(url, source)).toEqual({ last: 1, committed: 1, letters: 1, replayed: 1 })
    expect((yield* told(url)).map(({ outcome }) => outcome)).toEqual(["present"])
  })
)

it.scopedLive("a letter from a month without a partition has it made, and one from no month fails", () =>
  Effect.gen(function* () {
    const { letters, store, url } = yield* withLetters(0)
    const [old, ancient] = [100, 500].map((days) => rowsOf(1, { timestamp: Date.now() - days * 86_400_000 })[0])
    if (old === undefined || ancient === undefined) return
    yield* store.deadLetter(old, why)
    yield* store.deadLetter(ancient, why)
    const outcomes = yield* letters.replay(all)
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["replayed", "failed"])
    expect(outcomes[1]?.detail).toContain("no partition")
    expect(yield* countsOf(url, ancient.source)).toMatchObject({ committed: 0, replayed: 0 })
  })
)

it.scopedLive("a COMMIT whose answer is lost stops the replay, says so, and the next one finds what was done", () =>
  Effect.gen(function* () {
    const { rows, source, url } = yield* withLetters(3)
    const proxy = yield* tcpProxy(url)
    const letters = yield* openLetters(proxy.url)
    const [stopped] = yield* Effect.all([Effect.flip(letters.replay(all)), proxy.loseAnswerTo("commit")], {
      concurrency: 2
    })
    expect(stopped).toMatchObject({ _tag: "ReplayStopped", done: 0 })
    expect(stopped.message).toContain("replay again")
    expect((yield* letters.replay(all)).map(({ outcome }) => outcome)).toEqual(["replayed", "replayed"])
    expect(yield* countsOf(url, source)).toEqual({ last: 3, committed: 3, letters: 3, replayed: 3 })
    expect((yield* told(url)).map(({ id }) => id).toSorted()).toEqual(idsOf(rows))
    const short = "select from gatekeeper.audit_source where source <> $1 and signed_off_seq is distinct from last_seq"
    expect(yield* query(url, short, [source])).toEqual([])
  })
)

it.scopedLive("pages hold every letter once, newest first, and a letter is shown with its bytes", () =>
  Effect.gen(function* () {
    const { letters, rows } = yield* withLetters(7)
    for (const limit of [1, 3, 7, 1_000]) {
      const seen: Array<{ eventId: string; leafHash: string }> = []
      for (;;) {
        const page = yield* letters.list({ limit, after: seen.at(-1) })
        if (page.length === 0) break
        seen.push(...page)
      }
      expect(seen.map(({ eventId }) => eventId)).toEqual(idsOf(rows).toReversed())
    }
    for (const row of rows.slice(0, 1)) {
      const body = Buffer.from(canonicalJson(row))
      const [shown] = yield* letters.show(row.id)
      expect(shown).toMatchObject({
        ...{ eventId: row.id, leafHash: row.leafHash, source: row.source, seq: 1, size: body.length },
        ...{ sqlstate: "23514", reason: "a check", attempts: 3, settled: false, replays: 0, tries: [] }
      })
      expect(Buffer.from(shown?.body ?? []).equals(body)).toBe(true)
    }
  })
)

it.scopedLive("an id that no letter has replays none, and a database that is away is said to be", () =>
  Effect.gen(function* () {
    const { letters, rows, url } = yield* withLetters(1)
    const [stranger] = rowsOf(1)
    for (const id of ["x", "'; drop table", stranger?.id ?? ""]) {
      expect(yield* Effect.flip(letters.show(id))).toMatchObject({ _tag: "LetterUnknown", id })
      const refused = yield* Effect.flip(letters.replay({ ids: [...idsOf(rows), id], by: "Ada" }))
      expect(refused).toMatchObject({ _tag: "LetterUnknown", id })
    }
    expect(yield* query(url, "select from gatekeeper.audit_log")).toEqual([])
    const nowhere = new URL(Redacted.value(url))
    nowhere.port = "1"
    const away = yield* openLetters(Redacted.make(nowhere.href))
    expect(yield* Effect.flip(away.list({ limit: 1 }))).toMatchObject({ _tag: "TrailUnreachable" })
    expect(yield* Effect.flip(away.replay(all))).toMatchObject({ _tag: "TrailUnreachable" })
  })
)

it.scopedLive("a role with the grants of the schema and no others replays", () =>
  Effect.gen(function* () {
    const { rows, source, url } = yield* withLetters(2)
    const role = `app_${crypto.randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(query(url, `create role ${role} login password 'app'`), () =>
      Effect.orDie(Effect.zipRight(query(url, `drop owned by ${role}`), query(url, `drop role ${role}`)))
    )
    const grants = `select missing.grant from gatekeeper.missing_grants('${role}') as missing ("grant")`
    const lacked = (yield* query(url, grants)).map((row) => String(row["grant"]))
    expect(lacked).toContain(`grant insert, select on gatekeeper.audit_dead_letter_replay to ${role}`)
    for (const grant of lacked) yield* query(url, grant)
    const asRole = new URL(Redacted.value(url))
    asRole.username = role
    asRole.password = "app"
    const letters = yield* openLetters(Redacted.make(asRole.href))
    expect((yield* letters.replay(all)).map(({ outcome }) => outcome)).toEqual(["replayed", "replayed"])
    expect((yield* letters.list({ limit: 10 })).map(({ settled }) => settled)).toEqual([true, true])
    expect(yield* countsOf(url, source)).toMatchObject({ committed: rows.length, replayed: rows.length })
  })
)
