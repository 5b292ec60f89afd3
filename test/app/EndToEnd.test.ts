import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const start = (databaseUrl: Redacted.Redacted, args: ReadonlyArray<string>, environment: Record<string, string> = {}) =>
  program({
    args,
    environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret, ...environment }
  })

const inOne = (databaseUrl: Redacted.Redacted) =>
  Effect.gen(function* () {
    const all = yield* start(databaseUrl, [])
    return {
      gatekeeper: yield* all.url("gatekeeper"),
      guardian: yield* all.url("guardian"),
      router: yield* all.url("router")
    }
  })

const inThree = (databaseUrl: Redacted.Redacted) =>
  Effect.gen(function* () {
    const gatekeeper = yield* Effect.flatMap(start(databaseUrl, ["gatekeeper"]), (one) => one.url("gatekeeper"))
    const guardian = yield* Effect.flatMap(start(databaseUrl, ["guardian"], { GATEKEEPER_URL: gatekeeper }), (one) =>
      one.url("guardian")
    )
    const router = yield* Effect.flatMap(
      start(databaseUrl, ["router"], { GATEKEEPER_URL: gatekeeper, GUARDIAN_URL: guardian }),
      (one) => one.url("router")
    )
    return { gatekeeper, guardian, router }
  })

const patience = { every: "100 millis", within: "60 seconds" } as const

/** What each hop says of an answered request, in the order of its source. */
const hops = [
  "execute shells/l1/echo ALLOWED",
  "read certificates/Librarian ALLOWED",
  "session.start sessions/Librarian/<session> ALLOWED",
  "route shells/l1/echo ALLOWED",
  "route.completed shells/l1/echo ALLOWED",
  "session.end sessions/Librarian/<session> ALLOWED"
]

const places = [
  ["in one process", inOne, 1],
  ["in three processes", inThree, 3]
] as const

describe.each(places)("the whole house, %s", (_, open, sources) => {
  it.scopedLive(
    "answers the official client through router, gatekeeper, guardian and echo, and one request id finds every hop",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const { gatekeeper, guardian, router } = yield* open(databaseUrl)
        const [admin, apiKey] = yield* Effect.promise(() =>
          Promise.all([tokenOf("Supervisor_Managed_Agent"), tokenOf("Librarian")])
        )
        yield* eventually(
          request(`${guardian}/certificates`, { token: admin, body: { agent: "Librarian" } }),
          ({ status }) => status === 201,
          patience
        )
        const client = new OpenAI({ baseURL: `${router}/v1`, apiKey, maxRetries: 0 })
        const question = { model: "echo", messages: [{ role: "user" as const, content: "which shelf?" }] }
        const whole = yield* eventually(
          Effect.promise(() =>
            client.chat.completions.create(question, { headers: { "x-request-id": "whole-1" } }).then(
              (answer) => answer.choices[0]?.message.content,
              (error: unknown) => String(error)
            )
          ),
          (content) => content === "which shelf?",
          patience
        )
        expect(whole).toBe("which shelf?")
        const words = yield* Effect.promise(async () => {
          const stream = await client.chat.completions.create(
            { ...question, stream: true },
            { headers: { "x-request-id": "streamed-1" } }
          )
          const pieces: Array<string> = []
          for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? "")
          return pieces
        })
        expect(words.join("")).toBe("which shelf?")
        expect(words.length).toBeGreaterThan(1)

        const rows = yield* eventually(
          rowsOf(
            databaseUrl,
            `select source::text, action || ' ' || regexp_replace(resource, '^(sessions/[^/]*)/.*', '\\1/<session>') || ' ' || result as said
             from gatekeeper.audit_log where request_id = 'streamed-1'`
          ),
          (found) => hops.every((hop) => found.some((row) => row["said"] === hop)),
          patience
        )
        expect(new Set(rows.map((row) => row["source"])).size).toBe(sources)
        const page = yield* request(`${gatekeeper}/audit/events?request_id=streamed-1`, { token: admin })
        const events = Array.isArray(page.body["events"]) ? page.body["events"] : []
        expect(events.length).toBeGreaterThanOrEqual(rows.length)
        expect(new Set(events.map(({ source }) => source)).size).toBe(sources)
        const history = yield* eventually(
          rowsOf(databaseUrl, "select role, shell_id from router.history where request_id = 'streamed-1' order by id"),
          (found) => found.length === 2,
          patience
        )
        expect(history).toEqual([
          { role: "user", shell_id: "echo" },
          { role: "assistant", shell_id: "echo" }
        ])
        const sessions = yield* rowsOf(
          databaseUrl,
          "select agent, end_reason from guardian.session where request_id = 'streamed-1'"
        )
        expect(sessions).toEqual([{ agent: "Librarian", end_reason: "completed" }])
      }),
    120_000
  )
})
