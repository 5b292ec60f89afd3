import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import {
  Gravitas,
  type RequestOptions,
  request,
  rowNamedBy,
  rowsOf,
  signingSecret,
  tokenOf
} from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { testPostgres } from "../support/TestPostgres.ts"

const eventOf = (id: string, more: object = {}) => ({ id, action: "deploy", resource: "sites/a", ...more })

const batchOf = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => eventOf(`${prefix} ${index}`))

const ghost = "service:guardian"

const post = (gatekeeper: string, body: unknown, options: RequestOptions & { readonly ghost?: string | null } = {}) =>
  Effect.gen(function* () {
    const name = options.ghost === undefined ? ghost : options.ghost
    const token = name === null ? undefined : yield* Effect.promise(() => tokenOf(name))
    return yield* request(`${gatekeeper}/audit/events`, {
      ...options,
      method: "POST",
      body,
      ...(token === undefined ? {} : { token })
    })
  })

const results = (body: Readonly<Record<string, unknown>>): ReadonlyArray<Record<string, unknown>> =>
  Array.isArray(body["results"]) ? body["results"].map((one) => ({ ...one })) : []

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("POST /audit/events", (it) => {
  const send = (body: unknown, options: RequestOptions & { readonly ghost?: string | null } = {}) =>
    Effect.flatMap(Gravitas, ({ gatekeeper }) => post(gatekeeper, body, options))

  it.effect("records each event under an id of the trail's own, and the decision to let it be", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* Gravitas
      const events = [
        eventOf("first", { result: "DENIED", ghost_id: "Scout", occurred_at: "2026-01-31T12:00:00+02:00" }),
        eventOf("second", { result: "LOST" }),
        eventOf("third", { resource: "x".repeat(400), metadata: { "a\0": "\ud800" } })
      ]
      const answer = yield* send({ events }, { headers: { "x-request-id": "batch-1" } })
      expect(answer.status).toBe(200)
      expect(results(answer.body)).toMatchObject([
        { id: "first", status: "recorded" },
        { id: "second", status: "invalid", problem: expect.stringContaining('"result" must be one of') },
        { id: "third", status: "recorded" }
      ])
      const found = yield* rowsOf(
        databaseUrl,
        `select event.result, event.ghost_id, event.request_id, event.marks, event.metadata -> 'ingest' as ingest, known.identity
         from gatekeeper.audit_log as event join gatekeeper.audit_source as known using (source)
         where event.id = any($1) order by event.id`,
        [results(answer.body).flatMap((one) => (one["audit_id"] === undefined ? [] : [one["audit_id"]]))]
      )
      expect(found).toEqual([
        {
          result: "DENIED",
          ghost_id: "Scout",
          request_id: "batch-1",
          marks: [],
          ingest: { by: ghost, id: "first", occurred_at: "2026-01-31T12:00:00+02:00" },
          identity: ghost
        },
        {
          result: "REPORTED",
          ghost_id: null,
          request_id: "batch-1",
          marks: ["metadata:cleaned", "resource:truncated"],
          ingest: { by: ghost, id: "third", occurred_at: null },
          identity: ghost
        }
      ])
      expect(yield* rowNamedBy(answer)).toMatchObject({
        action: "write",
        resource: "audit/events",
        result: "ALLOWED",
        ghost_id: ghost,
        metadata: { events: 3 }
      })
    })
  )

  it.effect("is decided and recorded as every request: 401, 403, 413, 422", () =>
    Effect.gen(function* () {
      const events = batchOf(1, "refused")
      const refusals = [
        [401, "UNAUTHENTICATED", yield* send({ events }, { ghost: null })],
        [403, "DENIED", yield* send({ events }, { ghost: "Librarian" })],
        [413, "INVALID", yield* send(`{"events": [${" ".repeat(1024 * 1024)}]}`)],
        [422, "INVALID", yield* send({ events: [] })],
        [422, "INVALID", yield* send({ events: batchOf(1_001, "many") })],
        [422, "INVALID", yield* send("{")],
        [422, "INVALID", yield* send(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)]
      ] as const
      for (const [status, result, answer] of refusals) {
        expect(answer.status).toBe(status)
        expect(yield* rowNamedBy(answer)).toMatchObject({ result })
      }
      const { databaseUrl } = yield* Gravitas
      expect(
        yield* rowsOf(databaseUrl, "select 1 from gatekeeper.audit_ingest where client_id like 'refused%'")
      ).toEqual([])
    })
  )

  it.effect("says of each event what was cut, and counts those that are not recorded", () =>
    Effect.gen(function* () {
      const { gatekeeper, program } = yield* Gravitas
      const mixed = yield* send({
        events: [
          eventOf("whole"),
          eventOf("cut", { metadata: { x: "y".repeat(63_000) }, action: "z".repeat(300) }),
          { id: "without a resource", action: "deploy" }
        ]
      })
      expect(mixed).toMatchObject({
        status: 200,
        body: {
          failed: 1,
          results: [
            { status: "recorded" },
            { status: "recorded", marks: ["action:truncated", "metadata:size"] },
            { status: "invalid" }
          ]
        }
      })
      expect(results(mixed.body)[0]).not.toHaveProperty("marks")
      const again = yield* send({ events: [eventOf("whole"), eventOf("whole", { reason: null, result: "REPORTED" })] })
      expect(again).toMatchObject({
        status: 200,
        body: { failed: 0, results: [{ status: "duplicate" }, { status: "duplicate" }] }
      })
      const nothing = yield* send({ events: [{ action: "deploy" }, eventOf("", {})] })
      expect(nothing).toMatchObject({
        status: 422,
        body: {
          error: { code: "nothing_recorded", message: expect.stringContaining('"id" must be a text') },
          detail: expect.stringContaining("none of the 2 events"),
          failed: 2,
          results: [{ id: null, status: "invalid" }, { status: "invalid" }]
        }
      })
      const row = yield* rowNamedBy(nothing)
      expect(row).toMatchObject({ result: "ALLOWED", metadata: { events: 2, events_invalid: 2 } })
      yield* program.printed(/2 of 2 events that service:guardian sent are not recorded/, "2 seconds")
      const metrics = yield* Effect.promise(async () => (await fetch(`${gatekeeper}/metrics`)).text())
      expect(metrics).toMatch(/audit_ingest_events_total\{[^}]*status="invalid"[^}]*\} [1-9]/)
    })
  )

  it.effect("a repeated key never hides an event of another caller", () =>
    Effect.gen(function* () {
      const { databaseUrl, program } = yield* Gravitas
      const first = yield* send({ events: [eventOf("key")] })
      const forged = yield* send({ events: [eventOf("key", { resource: "sites/other" })] })
      const other = yield* send({ events: [eventOf("key", { resource: "sites/other" })] }, { ghost: "dan_flory" })
      expect(results(forged.body)).toMatchObject([
        { status: "conflict", problem: expect.stringContaining(String(results(first.body)[0]?.["audit_id"])) }
      ])
      expect(results(other.body)).toMatchObject([{ status: "recorded" }])
      const [kept] = yield* rowsOf(
        databaseUrl,
        `select (select count(*)::integer from gatekeeper.audit_log where id = any($1)) as rows,
           (select count(*)::integer from gatekeeper.audit_dead_letter where event_id = any($1)) as letters`,
        [[first, forged, other].map(({ body }) => results(body)[0]?.["audit_id"])]
      )
      expect(kept).toEqual({ rows: 2, letters: 1 })
      yield* program.printed(/ALARM: service:guardian sent another event under the key/, "2 seconds")
    })
  )

  it.effect("takes 10 000 events in batches that are sent twice at once, each once", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper } = yield* Gravitas
      const batches = Array.from({ length: 10 }, (_, index) => batchOf(1_000, `bulk ${index}`))
      const answers = yield* Effect.forEach([...batches, ...batches], (events) => send({ events }), { concurrency: 4 })
      const all = answers.flatMap(({ body }) => results(body))
      expect(all).toHaveLength(20_000)
      expect(all.filter(({ status }) => status === "recorded")).toHaveLength(10_000)
      expect(all.filter(({ status }) => status === "duplicate")).toHaveLength(10_000)
      const [written] = yield* rowsOf(
        databaseUrl,
        "select count(*)::integer as rows from gatekeeper.audit_log where metadata -> 'ingest' ->> 'id' like 'bulk%'"
      )
      expect(written).toEqual({ rows: 10_000 })
      const token = yield* Effect.promise(() => tokenOf("dan_flory"))
      const pipeline = yield* request(`${gatekeeper}/audit/pipeline`, { token })
      expect(pipeline.body["sources"]).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ standing: "ingest", identity: ghost, unaccounted: 0, pending: 0 })
        ])
      )
    })
  )
})

describe("while PostgreSQL is away", () => {
  it.scopedLive(
    "a batch is refused with 503, and the same batch, sent again, is recorded once",
    () =>
      Effect.gen(function* () {
        const postgres = yield* testPostgres()
        const running = yield* program({
          args: ["gatekeeper"],
          environment: { DATABASE_URL: Redacted.value(postgres.url), JWT_SECRET_KEY: signingSecret }
        })
        const gatekeeper = yield* running.url("gatekeeper")
        const events = batchOf(5, "away")
        expect((yield* post(gatekeeper, { events: events.slice(0, 1) })).status).toBe(200)
        yield* postgres.stop
        const refused = yield* post(gatekeeper, { events })
        expect(refused).toMatchObject({ status: 503, body: { error: { code: "trail_unreachable" } } })
        expect(refused.headers.get("retry-after")).toBe("1")
        yield* Effect.orDie(postgres.start)
        yield* postgres.pause
        expect((yield* post(gatekeeper, { events })).status).toBe(503)
        yield* postgres.resume
        const answer = yield* post(gatekeeper, { events })
        expect(results(answer.body).map(({ status }) => status)).toEqual([
          "duplicate",
          ...["recorded", "recorded", "recorded", "recorded"]
        ])
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
        const rows = yield* rowsOf(
          postgres.url,
          "select result, count(*)::integer from gatekeeper.audit_log group by 1 order by 1"
        )
        // Four batches were allowed; two of them could not be given.
        expect(rows).toEqual([
          { result: "ALLOWED", count: 4 },
          { result: "REPORTED", count: 5 },
          { result: "WITHDRAWN", count: 2 }
        ])
      }),
    120_000
  )
})
