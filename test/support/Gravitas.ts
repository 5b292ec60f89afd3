import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { SignJWT } from "jose"
import { connect, type Row } from "../../src/platform/Connection.ts"
import { type Program, type ProgramOptions, program } from "./Program.ts"
import { freshDatabase } from "./TestDatabase.ts"

export const signingSecret = "a signing secret for tests, long enough"

const key = new TextEncoder().encode(signingSecret)

/** Seconds from now until it expires; negative for one that has. */
export const tokenOf = (ghost: string, expiresIn = 3_600): Promise<string> =>
  new SignJWT({ groups: ["admin"] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(ghost)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresIn)
    .sign(key)

export const rowsOf = (url: Redacted.Redacted, text: string, values: ReadonlyArray<unknown> = []) =>
  connect({ url, applicationName: "gravitas test" }).pipe(
    Effect.flatMap((connection) => connection.query(text, values)),
    Effect.map(({ rows }): ReadonlyArray<Row> => rows),
    Effect.scoped,
    Effect.orDie
  )

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
        const databaseUrl = yield* freshDatabase
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
