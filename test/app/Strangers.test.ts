import { describe, expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually } from "../support/Eventually.ts"
import { type Answer, Gravitas, request, rowNamedBy, rowsOf, tokenOf } from "../support/Gravitas.ts"

/** So few that a slow machine cannot send slower than they allow. */
const few = { AUDIT_FAILURES_PER_ADDRESS: "1", AUDIT_FAILURES_IN_ALL: "1000", LOG_LEVEL: "warning" }

const stranger = (url: string, id: string, headers: Readonly<Record<string, string>> = {}, body: unknown = {}) =>
  request(url, { token: "not.a.token", body, headers: { "x-request-id": id, ...headers } })

const statusesOf = (answers: ReadonlyArray<Answer>) => [...new Set(answers.map(({ status }) => status))].toSorted()

const errorOf = ({ body }: Answer) => body["error"] as Readonly<Record<string, unknown>>

const flood = (number: number, send: (index: number) => Effect.Effect<Answer>) =>
  Effect.forEach(Array.from({ length: number }), (_, index) => send(index), { concurrency: 16 })

/** What the summaries of the trail count in all. */
const limitedInAll = Effect.flatMap(Gravitas, ({ databaseUrl }) =>
  Effect.map(
    rowsOf(
      databaseUrl,
      "select coalesce(sum((metadata ->> 'count')::integer), 0)::integer as count from gatekeeper.audit_log where result = 'LIMITED'"
    ),
    (rows) => Number(rows[0]?.["count"])
  )
)

/** All answers of this file that have no row of their own. */
let limited = 0

const counted = (answers: ReadonlyArray<Answer>) => {
  const ones = answers.filter(({ status }) => status === 429)
  limited += ones.length
  return ones
}

layer(Gravitas.layer({ environment: few }), { timeout: "60 seconds", excludeTestServices: true })(
  "A flood of requests without a valid token",
  (it) => {
    it.effect("gets some 401 with a row, then 429 without one; an authenticated caller gets 200 meanwhile", () =>
      Effect.gen(function* () {
        const { databaseUrl, gatekeeper } = yield* Gravitas
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        const url = `${gatekeeper}/validate`
        const body = { action: "read", resource: "vaults/public" }
        const [strangers, authenticated] = yield* Effect.all(
          [
            flood(400, (index) => stranger(url, `flood-${index}`, {}, body)),
            flood(100, () => request(url, { token, body }))
          ],
          { concurrency: 2 }
        )
        expect(statusesOf(authenticated)).toEqual([200])
        expect(statusesOf(strangers)).toEqual([401, 429])
        const without = counted(strangers)
        expect(without[0]?.headers.get("retry-after")).toBe("1")
        expect(errorOf(without[0] as Answer)).toMatchObject({ code: "too_many_failures" })
        expect(without.filter((answer) => errorOf(answer)["audit_id"] !== undefined)).toEqual([])
        // Every request is in a row or in a count.
        expect(yield* eventually(limitedInAll, (count) => count >= limited)).toBe(limited)
        const query = "select result from gatekeeper.audit_log where request_id like 'flood-%'"
        const rows = yield* eventually(rowsOf(databaseUrl, query), (found) => found.length >= 400 - without.length)
        expect(rows).toEqual(Array(400 - without.length).fill({ result: "UNAUTHENTICATED" }))
      })
    )

    it.effect("gets the same bytes on both lanes", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const paths = ["/validate", "/validate?slow", "/access/v1/evaluation", "/access/v1/evaluation?slow"]
        const answers = yield* Effect.forEach(paths, (path) =>
          flood(20, () => stranger(gatekeeper + path, "same")).pipe(Effect.map(counted))
        )
        const shown = answers.map(
          ([one]) =>
            one &&
            [
              one.body,
              ["date", "connection", "keep-alive"].reduce((headers, name) => {
                headers.delete(name)
                return headers
              }, new Headers(one.headers))
            ].map((part) => (part instanceof Headers ? [...part] : part))
        )
        expect(shown[0]).toBeDefined()
        expect(new Set(shown.map((one) => JSON.stringify(one))).size).toBe(1)
      })
    )

    it.effect("is not let in by addresses that it makes up", () =>
      Effect.gen(function* () {
        const { databaseUrl, gatekeeper } = yield* Gravitas
        const answers = yield* flood(60, (index) =>
          stranger(`${gatekeeper}/validate`, `forged-${index}`, {
            "x-forwarded-for": `203.0.113.${index}`,
            forwarded: `for=203.0.113.${index}`
          })
        )
        expect(counted(answers).length).toBeGreaterThan(0)
        yield* eventually(limitedInAll, (count) => count >= limited)
        const named = yield* rowsOf(
          databaseUrl,
          `select distinct network from gatekeeper.audit_log, jsonb_object_keys(metadata -> 'by_network') as network
           where result = 'LIMITED'`
        )
        expect(named).toEqual([{ network: "127.0.0.1" }])
      })
    )

    describe("at the services behind the gatekeeper", () => {
      it.effect("gets 429 too, and opens no circuit breaker", () =>
        Effect.gen(function* () {
          const { program } = yield* Gravitas
          const [guardian, router] = [yield* program.url("guardian"), yield* program.url("router")]
          const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
          const chat = { model: "auto", messages: [{ role: "user", content: "hello" }] }
          const floods = yield* Effect.all({
            guardian: flood(30, (index) => stranger(`${guardian}/validate`, `g-${index}`, {}, { agent: "Scout" })),
            malformed: flood(30, (index) => stranger(`${guardian}/validate`, `m-${index}`, {}, "{")),
            chat: flood(30, (index) => stranger(`${router}/v1/chat/completions`, `c-${index}`, {}, chat)),
            unknown: flood(30, (index) => stranger(`${router}/v1/chat/completions`, `u-${index}`, {}, "{")),
            models: flood(30, (index) =>
              request(`${router}/v1/models`, { token: "no", headers: { "x-request-id": `l-${index}` } })
            )
          })
          for (const [name, answers] of Object.entries(floods)) {
            expect([name, statusesOf(answers).filter((status) => status !== 401)]).toEqual([name, [429]])
            expect(errorOf(counted(answers)[0] as Answer)).toMatchObject({ code: "too_many_failures" })
          }
          expect(errorOf(floods.chat.at(-1) as Answer)).toMatchObject({ type: expect.stringContaining("_error") })
          // No breaker has opened, and nothing else was recorded for them.
          const known = yield* request(`${guardian}/validate`, { token, body: { agent: "Scout" } })
          expect([200, 403]).toContain(known.status)
          expect((yield* request(`${router}/v1/models`, { token })).status).toBe(200)
          expect(yield* eventually(limitedInAll, (count) => count >= limited)).toBe(limited)
          const { databaseUrl } = yield* Gravitas
          const other =
            "select result from gatekeeper.audit_log where request_id ~ '^[gmcul]-[0-9]+$' and result <> 'UNAUTHENTICATED'"
          expect(yield* rowsOf(databaseUrl, other)).toEqual([])
        })
      )
    })

    it.effect("is counted in the metrics", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const page = yield* Effect.promise(() => fetch(`${gatekeeper}/metrics`).then((response) => response.text()))
        expect(page).toContain(`audit_failures_limited_total{reason="address"} ${limited}`)
      })
    )
  }
)

layer(Gravitas.layer({ environment: { ...few, TRUSTED_PROXIES: "127.0.0.1" } }), {
  timeout: "60 seconds",
  excludeTestServices: true
})("A failure behind a trusted proxy", (it) => {
  it.effect("has the address of its client in its row, and neither its metadata nor its shell", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const metadata = { shell_id: "gemma2:27b", client_address: "198.51.100.1", note: "made up" }
      const answer = yield* stranger(
        `${gatekeeper}/validate`,
        "proxied",
        { "x-forwarded-for": "198.51.100.1, 203.0.113.9" },
        { resource: "vaults/a", metadata }
      )
      expect(answer.status).toBe(401)
      const row = yield* rowNamedBy(answer)
      expect(row).toMatchObject({ result: "UNAUTHENTICATED", shell_id: null, resource: "vaults/a" })
      expect(row["metadata"]).toEqual({ client_address: "203.0.113.9", trace_id: expect.any(String) })
      expect(row["marks"]).toEqual(expect.arrayContaining(["metadata:withheld"]))
    })
  )

  it.effect("is limited by that address, also through the guardian", () =>
    Effect.gen(function* () {
      const { databaseUrl, gatekeeper, program } = yield* Gravitas
      const guardian = yield* program.url("guardian")
      const from = (address: string, url = gatekeeper) =>
        stranger(`${url}/validate`, "by-address", { "x-forwarded-for": address }, { agent: "Scout" })
      expect(statusesOf(yield* flood(60, () => from("198.51.100.7")))).toContain(429)
      expect(statusesOf(yield* flood(60, (index) => from(`2001:db8:${index.toString(16)}::1`)))).toEqual([401])
      expect(statusesOf(yield* flood(60, (index) => from(`2001:db8:a:b::${index.toString(16)}`, guardian)))).toContain(
        429
      )
      const query =
        "select 1 as found from gatekeeper.audit_log where metadata ->> 'client_address' like '2001:db8:a:b::%'"
      expect((yield* eventually(rowsOf(databaseUrl, query), (rows) => rows.length >= 5)).length).toBeGreaterThan(4)
    })
  )
})
