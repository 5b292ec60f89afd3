import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { request, rowsOf, tokenOf } from "../support/Gravitas.ts"
import { clientOf, historyOf, RouterProgram, trailOf } from "../support/RouterProgram.ts"

const models = `
providers:
  echo: { kind: echo }
  keyless: { kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key_env: NO_SUCH_KEY }
shells:
  echo: { tier: L1, provider: echo }
  great: { tier: L3, provider: keyless }
ghosts:
  Librarian: { preferred_shell: great, fallback_shells: [echo] }
`

const get = (path: string, ghost?: string) =>
  Effect.gen(function* () {
    const { router } = yield* RouterProgram
    const token = ghost === undefined ? undefined : yield* Effect.promise(() => tokenOf(ghost))
    return yield* request(`${router}${path}`, token === undefined ? {} : { token })
  })

const say = (ghost: string, id: string, content: string) =>
  Effect.gen(function* () {
    const client = yield* clientOf(ghost)
    yield* Effect.promise(() =>
      client.chat.completions.create(
        { model: "echo", messages: [{ role: "user", content }] },
        { headers: { "x-request-id": id } }
      )
    )
    return yield* historyOf(id, 2)
  })

layer(RouterProgram.layer({ models }), { timeout: "90 seconds", excludeTestServices: true })("GET /v1/…", (it) => {
  it.effect("the models are listed for the official client, with tiers, and why one cannot be asked", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("Scout")
      const { data } = yield* Effect.promise(() => client.models.list())
      expect(data).toMatchObject([
        { id: "echo", object: "model", owned_by: "echo", kind: "shell", tier: "L1", available: true, trouble: null },
        {
          id: "great",
          kind: "shell",
          tier: "L3",
          available: false,
          trouble: expect.stringMatching(/^provider \w+ is unavailable: NO_SUCH_KEY is not set$/)
        },
        { id: "Librarian", kind: "ghost", tier: "L3", available: false }
      ])
    })
  )

  it.effect("the models are not listed without a token, or to a ghost without permission", () =>
    Effect.gen(function* () {
      expect(yield* get("/v1/models")).toMatchObject({ status: 401, body: { error: { code: "unauthenticated" } } })
      const denied = yield* get("/v1/models", "Stranger")
      expect(denied).toMatchObject({
        status: 403,
        body: { error: { code: "access_denied", type: "permission_error" } }
      })
      const rows = yield* trailOf(denied.headers.get("x-request-id") ?? "", (actions) => actions.length > 0)
      expect(rows).toMatchObject([{ action: "read", resource: "models", ghost_id: "Stranger", result: "DENIED" }])
    })
  )

  it.effect("the history stores messages without their content by default", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* RouterProgram
      const rows = yield* say("Scout", "history-0", "something secret")
      expect(rows.map(({ role, content }) => [role, content])).toEqual([
        ["user", null],
        ["assistant", null]
      ])
      const everything = yield* rowsOf(databaseUrl, "select string_agg(history::text, '') as all from router.history")
      expect(String(everything[0]?.["all"])).not.toContain("secret")
    })
  )

  it.effect("reads a ghost's messages newest first, page by page, and no other's", () =>
    Effect.gen(function* () {
      for (const i of [1, 2, 3, 4, 5, 6]) yield* say("Librarian", `history-${i}`, "hi")
      const seen: Array<unknown> = []
      let path: string | undefined = "/v1/history?ghost=Librarian&limit=4"
      while (path !== undefined) {
        const page: { status: number; body: Readonly<Record<string, unknown>> } = yield* get(path, "Librarian")
        expect(page.status).toBe(200)
        const messages = page.body["messages"] as ReadonlyArray<Record<string, unknown>>
        for (const one of messages) seen.push([one["request_id"], one["role"], one["ghost_id"]])
        const { next } = page.body
        path = typeof next === "string" ? `/v1/history?ghost=Librarian&limit=4&cursor=${next}` : undefined
      }
      expect(seen).toEqual(
        [6, 5, 4, 3, 2, 1].flatMap((i) => ["assistant", "user"].map((role) => [`history-${i}`, role, "Librarian"]))
      )
    })
  )

  it.effect("a page of long messages is bounded in bytes, and no message is lost between pages", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* RouterProgram
      yield* rowsOf(
        databaseUrl,
        `insert into router.history (role, content, ghost_id, request_id)
         select 'user', repeat('x', 1000000), 'dan_flory', n::text from generate_series(1, 40) as n`
      )
      const seen: Array<unknown> = []
      let query = ""
      do {
        const { body } = yield* get(`/v1/history?ghost=dan_flory&limit=1000${query}`, "dan_flory")
        expect(JSON.stringify(body).length).toBeLessThan(12_000_000)
        for (const one of body["messages"] as ReadonlyArray<Record<string, unknown>>)
          seen.push(Number(one["request_id"]))
        query = body["next"] === null ? "" : `&cursor=${body["next"]}`
      } while (query !== "")
      expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => 40 - i))
    })
  )

  it.effect("messages are not readable for other ghosts, and malformed queries are refused", () =>
    Effect.gen(function* () {
      expect((yield* get("/v1/history?ghost=Librarian", "Scout")).status).toBe(403)
      expect((yield* get("/v1/history?ghost=Librarian")).status).toBe(401)
      for (const [query, param] of [
        ["", "ghost"],
        ["?ghost=a&ghost=b", "ghost"],
        ["?ghost=Librarian&limit=0", "limit"],
        ["?ghost=Librarian&limit=1%3B%20drop%20table", "limit"],
        ["?ghost=Librarian&cursor=zzz", "cursor"],
        ["?ghost=Librarian&wat=1", "wat"]
      ]) {
        const answer = yield* get(`/v1/history${query}`, "dan_flory")
        expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request", param } } })
        expect((yield* get(`/v1/history${query}`)).status).toBe(401)
      }
    })
  )
})
