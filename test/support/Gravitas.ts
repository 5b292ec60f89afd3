import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { expect } from "vitest"
import { type Program, type ProgramOptions, program } from "./Program.ts"
import { rowsOf } from "./Rows.ts"
import { migratedDatabase } from "./TestDatabase.ts"
import { signingSecret, tokenOf } from "./Tokens.ts"

export { rowsOf, signingSecret, tokenOf }

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

export interface RequestOptions {
  readonly method?: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown
}

export const request = (url: string, options: RequestOptions = {}): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, {
      method: options.method ?? (options.body === undefined ? "GET" : "POST"),
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers
      },
      ...(options.body === undefined
        ? {}
        : { body: typeof options.body === "string" ? options.body : JSON.stringify(options.body) }),
      signal
    })
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
  })

/** All three services in a real process on a database of its own; the same for all tests of a file. */
export class Gravitas extends Context.Tag("test/Gravitas")<
  Gravitas,
  { readonly program: Program; readonly databaseUrl: Redacted.Redacted; readonly gatekeeper: string }
>() {
  static readonly layer = (options: ProgramOptions = {}) =>
    Layer.scoped(
      Gravitas,
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const running = yield* program({
          ...options,
          environment: {
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            ...options.environment
          }
        })
        return { program: running, databaseUrl, gatekeeper: yield* running.url("gatekeeper") }
      })
    )
}

/** The row that an answer names, once it is there. */
export const rowNamedBy = (answer: Answer) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const error = answer.body["error"] as { readonly audit_id?: unknown } | undefined
    const id = answer.body["audit_id"] ?? error?.audit_id
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    return yield* rowsOf(databaseUrl, "select * from gatekeeper.audit_log where id = $1", [id]).pipe(
      Effect.flatMap((rows) =>
        rows.length === 1 && rows[0] ? Effect.succeed(rows[0]) : Effect.fail("not there" as const)
      ),
      Effect.retry(Schedule.spaced("20 millis")),
      Effect.timeout("30 seconds"),
      Effect.orDie
    )
  })

export const ask = (
  body: unknown,
  options: { readonly ghost?: string; readonly headers?: Record<string, string> } = {}
) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Gravitas
    const token = yield* Effect.promise(() => tokenOf(options.ghost ?? "Supervisor_Managed_Agent"))
    return yield* request(`${gatekeeper}/validate`, {
      token,
      body,
      ...(options.headers && { headers: options.headers })
    })
  })
