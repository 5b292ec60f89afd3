import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { request, rowsOf, tokenOf } from "../support/Gravitas.ts"
import { otlpReceiver } from "../support/OtlpReceiver.ts"
import { clientOf, RouterProgram } from "../support/RouterProgram.ts"
import { echoModels, user } from "../support/RouterQuestions.ts"

/** Moves a terminal's cursor (C1), and reverses what follows. */
const hostile = "key\u009b2J\u202e\u2066"

const conflicting = Effect.gen(function* () {
  const { program } = yield* RouterProgram
  const url = `${yield* program.url("gatekeeper")}/audit/events`
  const token = yield* Effect.promise(() => tokenOf("service:guardian"))
  for (const action of ["one", "other"]) {
    const answer = yield* request(url, { token, body: { events: [{ id: hostile, action, resource: "r" }] } })
    expect(answer.status).toBe(200)
  }
})

const unstorable = Effect.gen(function* () {
  const { databaseUrl } = yield* RouterProgram
  const constraint = "check (content is null or content not like '%4711%')"
  yield* rowsOf(databaseUrl, `alter table router.history add constraint no_diagnosis ${constraint}`)
  const client = yield* clientOf("Scout")
  yield* Effect.promise(() =>
    client.chat.completions.create({ model: "echo", messages: user("my secret diagnosis 4711") })
  )
})

describe("the log", () => {
  it.scopedLive.each(["json", "pretty"])(
    "and what is exported of it hold neither what was said nor what moves a terminal's cursor: %s",
    (format) =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver()
        const environment = {
          ROUTER_STORE_CONTENT: "true",
          LOG_FORMAT: format,
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          SHUTDOWN_DEADLINE: "5m"
        }
        yield* Effect.gen(function* () {
          const { program } = yield* RouterProgram
          yield* conflicting
          yield* unstorable
          yield* program.printed(/no_diagnosis/)
          yield* program.signal("SIGTERM")
          yield* program.ended()
          const logs = [program.output(), receiver.logLines().join("\n")]
          for (const log of logs) {
            expect(log).toContain("no_diagnosis")
            expect(log).toMatch(/ALARM.*\\u\{9b\}2J\\+u\{202e\}\\+u\{2066\}/)
            expect(log).not.toMatch(/4711|Failing row/)
            // A terminal's own colours are not asked for here.
            expect(log).not.toMatch(/[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u)
          }
        }).pipe(Effect.provide(RouterProgram.layer({ models: echoModels, environment })))
      }),
    120_000
  )
})
