import { describe, expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Gravitas, request, rowNamedBy, rowsOf, tokenOf } from "../support/Gravitas.ts"

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("POST /validate", (it) => {
  it.effect("allows a permitted action, and its answer names the row", () =>
    Effect.gen(function* () {
      const answer = yield* ask(
        { action: "read", resource: "vaults/a", metadata: { shell_id: "gemma2:27b", k: [1] } },
        { ghost: "Librarian" }
      )
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({
        allowed: true,
        ghost_id: "Librarian",
        groups: ["librarian"],
        matched: { group: "librarian", rule: 2 }
      })
      expect(answer.body["policy_version"]).toMatch(/^[0-9a-f]{12}$/)
      const row = yield* rowNamedBy(answer)
      expect(row).toMatchObject({
        ghost_id: "Librarian",
        shell_id: "gemma2:27b",
        action: "read",
        resource: "vaults/a",
        result: "ALLOWED",
        metadata: { shell_id: "gemma2:27b", k: [1] }
      })
      expect(row["request_id"]).toBe(answer.headers.get("x-request-id"))
    })
  )

  it.effect("uses inference as the default action, and keeps the client's request id", () =>
    Effect.gen(function* () {
      const answer = yield* ask({ resource: "gemma2:27b" }, { headers: { "x-request-id": "from-the-client.1" } })
      expect(answer.status).toBe(200)
      expect(answer.headers.get("x-request-id")).toBe("from-the-client.1")
      expect(yield* rowNamedBy(answer)).toMatchObject({ action: "inference", request_id: "from-the-client.1" })
    })
  )

  it.effect("replaces a request id that its row could not hold whole; the row has the id that was returned", () =>
    Effect.gen(function* () {
      for (const [id, kept] of [
        ["i".repeat(100), true],
        ["i".repeat(101), false],
        ["Root=1-67891233/abcdef+x==", true]
      ] as const) {
        const answer = yield* ask({ resource: "a" }, { headers: { "x-request-id": id } })
        const echoed = answer.headers.get("x-request-id")
        expect(echoed === id).toBe(kept)
        expect((yield* rowNamedBy(answer))["request_id"]).toBe(echoed)
      }
    })
  )

  it.effect("replaces a request id that could forge a log line", () =>
    Effect.gen(function* () {
      const answer = yield* ask({ resource: "a" }, { headers: { "x-request-id": 'x" injected="1' } })
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  )

  it.effect("replaces a request id that its row could not hold whole, and keeps the longest that it can", () =>
    Effect.gen(function* () {
      const longest = "r".repeat(100)
      const kept = yield* ask({ resource: "a" }, { headers: { "x-request-id": longest } })
      expect(kept.headers.get("x-request-id")).toBe(longest)
      expect(yield* rowNamedBy(kept)).toMatchObject({ request_id: longest, marks: ["request_id:given"] })
      const replaced = yield* ask({ resource: "a" }, { headers: { "x-request-id": `${longest}r` } })
      expect(replaced.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  )

  it.effect("denies an action without a permission: 403, with its row", () =>
    Effect.gen(function* () {
      const answer = yield* ask({ action: "execute", resource: "shells/l3/claude" }, { ghost: "Scout" })
      expect(answer.status).toBe(403)
      expect(answer.body["detail"]).toBe("Access denied by policy")
      expect(answer.body["error"]).toMatchObject({
        code: "access_denied",
        request_id: answer.headers.get("x-request-id")
      })
      expect(yield* rowNamedBy(answer)).toMatchObject({ ghost_id: "Scout", result: "DENIED" })
    })
  )

  describe("records unauthenticated requests without a ghost (fault 7)", () => {
    const cases = [
      ["no token", undefined, "Missing Authorization header", "Bearer realm"],
      ["a garbage token", "Bearer garbage", "Invalid or expired token", "invalid_token"],
      ["a raw token without its scheme", "raw", "Invalid or expired token", "invalid_token"]
    ] as const
    for (const [what, authorization, detail, challenge] of cases) {
      it.effect(what, () =>
        Effect.gen(function* () {
          const { gatekeeper } = yield* Gravitas
          const answer = yield* request(`${gatekeeper}/validate`, {
            body: { action: "read", resource: "vaults/a", metadata: { ghost_id: "Supervisor_Managed_Agent" } },
            ...(authorization === undefined ? {} : { headers: { authorization } })
          })
          expect(answer.status).toBe(401)
          expect(answer.body["detail"]).toBe(detail)
          expect(answer.headers.get("www-authenticate")).toContain(challenge)
          expect(yield* rowNamedBy(answer)).toMatchObject({
            ghost_id: null,
            action: "read",
            resource: "vaults/a",
            result: "UNAUTHENTICATED"
          })
        })
      )
    }

    it.effect("an expired token", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const token = yield* Effect.promise(() => tokenOf("Scout", -10))
        const answer = yield* request(`${gatekeeper}/validate`, { token, body: { resource: "a" } })
        expect(answer.status).toBe(401)
        expect(answer.body["detail"]).toBe("Invalid or expired token")
        expect(yield* rowNamedBy(answer)).toMatchObject({ result: "UNAUTHENTICATED", reason: "the token has expired" })
      })
    )
  })

  describe("refuses a malformed request with 422, and records it", () => {
    const cases: ReadonlyArray<readonly [string, unknown, string]> = [
      ["an empty body", "", "not JSON"],
      ["a body cut short", '{"resource": "a', "not JSON"],
      ["a text", '"text"', "JSON object"],
      ["no resource", {}, '"resource" is missing'],
      ["a number as resource", { resource: 7 }, "must be a text"],
      ["a NUL in the resource", { resource: "a\u0000b" }, "control characters"],
      ["a lone surrogate", '{"resource":"a\\ud800"}', "well-formed"],
      ["a way out of its folder", { resource: "vaults/public/../x" }, "segments"],
      ["metadata nested 5 000 deep", `{"resource":"a","metadata":${nested(5_000)}}`, "nested deeper"],
      ["metadata that is a list", { resource: "a", metadata: [1] }, "must be an object"]
    ]
    for (const [what, body, problem] of cases) {
      it.effect(what, () =>
        Effect.gen(function* () {
          const answer = yield* ask(body)
          expect(answer.status).toBe(422)
          expect(answer.body["detail"]).toContain(problem)
          expect(yield* rowNamedBy(answer)).toMatchObject({ result: "INVALID", ghost_id: "Supervisor_Managed_Agent" })
        })
      )
    }

    it.effect("a resource over its length: recorded, cut, and marked as cut", () =>
      Effect.gen(function* () {
        const answer = yield* ask({ resource: "r".repeat(20_000) })
        expect(answer.status).toBe(422)
        const row = yield* rowNamedBy(answer)
        expect(row).toMatchObject({ result: "INVALID" })
        expect(String(row["resource"]).length).toBe(255)
        expect(row["marks"]).not.toEqual([])
      })
    )

    it.effect("a body over 64 KiB: 413", () =>
      Effect.gen(function* () {
        const answer = yield* ask({ resource: "a", metadata: { text: "x".repeat(70_000) } })
        expect(answer.status).toBe(413)
        expect(yield* rowNamedBy(answer)).toMatchObject({ result: "INVALID" })
      })
    )
  })

  it.effect(
    "lets no caller erase its own row: a shell_id that is a number, NULs and surrogates in metadata (fault 3)",
    () =>
      Effect.gen(function* () {
        const hostile = [
          { shell_id: 123 },
          { shell_id: "s".repeat(5_000) },
          { "a\u0000b": "c\u0000d" },
          JSON.parse('{"a\\ud800":"b\\udfff"}'),
          { n: 1e308, list: Array.from({ length: 5_000 }, (_, i) => i) },
          Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`key${i}`, i])),
          { __proto__x: 1, constructor: { prototype: 1 }, toJSON: "x", id: "00000000-0000-7000-8000-000000000000" }
        ]
        for (const metadata of hostile) {
          const answer = yield* ask({ resource: "vaults/a", metadata })
          expect(answer.status).toBe(200)
          expect(yield* rowNamedBy(answer)).toMatchObject({ result: "ALLOWED", resource: "vaults/a" })
        }
      })
  )

  it.effect("stores metadata as JSON and times with their zone (fault 13)", () =>
    Effect.gen(function* () {
      const { databaseUrl } = yield* Gravitas
      const answer = yield* ask({ resource: "vaults/a", metadata: { nested: { yes: true, none: null } } })
      const row = yield* rowNamedBy(answer)
      expect(row["metadata"]).toEqual({
        nested: { yes: true, none: null },
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/)
      })
      const types = yield* rowsOf(
        databaseUrl,
        `select column_name, data_type from information_schema.columns
         where table_schema = 'gatekeeper' and table_name = 'audit_log' and column_name in ('timestamp', 'metadata') order by 1`
      )
      expect(types.map((column) => column["data_type"])).toEqual(["jsonb", "timestamp with time zone"])
    })
  )

  it.effect("records an over-long token, and refuses headers over the limit with the usual error body", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const long = yield* request(`${gatekeeper}/validate`, { token: "a".repeat(20_000), body: { resource: "a" } })
      expect(long.status).toBe(401)
      expect(yield* rowNamedBy(long)).toMatchObject({ result: "UNAUTHENTICATED" })
      const absurd = yield* request(`${gatekeeper}/validate`, { token: "a".repeat(60_000), body: { resource: "a" } })
      expect(absurd.status).toBe(431)
      expect(absurd.body).toMatchObject({ error: { code: "unreadable_request" } })
      expect(absurd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  )

  it.effect("answers unknown paths and wrong methods with the usual error body", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const unknown = yield* request(`${gatekeeper}/nowhere`)
      expect(unknown.status).toBe(404)
      expect(unknown.body).toMatchObject({ error: { code: "not_found" } })
      const wrong = yield* request(`${gatekeeper}/validate`)
      expect(wrong.status).toBe(405)
      expect(wrong.headers.get("allow")).toBe("POST")
    })
  )
})
