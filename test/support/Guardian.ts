import { generateKeyPairSync, randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { expect } from "vitest"
import { type Answer, Gravitas, request, rowsOf, tokenOf } from "./Gravitas.ts"

export { Gravitas }

export interface AskOptions {
  readonly ghost?: string
  /** Without a token. */
  readonly anonymous?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** Another guardian than that of the program under test. */
  readonly guardian?: string
}

/** Asks the guardian, by default as an administrator, under a request id of its own. */
export const ask = (
  method: string,
  path: string,
  body?: unknown,
  options: AskOptions = {}
): Effect.Effect<Answer, never, Gravitas> =>
  Effect.gen(function* () {
    const { program } = yield* Gravitas
    const guardian = options.guardian ?? (yield* program.url("guardian"))
    const token = yield* Effect.promise(() => tokenOf(options.ghost ?? "Supervisor_Managed_Agent"))
    return yield* request(`${guardian}${path}`, {
      method,
      ...(options.anonymous === true ? {} : { token }),
      ...(body === undefined ? {} : { body }),
      headers: { "x-request-id": `test-${randomUUID()}`, ...options.headers }
    })
  })

/** A certificate for `agent`: the body of the answer. */
export const issue = (agent: string, body: Readonly<Record<string, unknown>> = {}) =>
  Effect.map(ask("POST", "/certificates", { agent, ...body }), (answer) => {
    expect([answer.status, answer.body]).toEqual([201, answer.body])
    return answer.body
  })

/** The rows of the trail under a request id, oldest first, once there are `count`. */
export const rowsUnder = (requestId: string | null, count: number) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const read = rowsOf(databaseUrl, "select * from gatekeeper.audit_log where request_id = $1 order by id", [
      requestId
    ])
    return yield* read.pipe(
      Effect.flatMap((rows) => (rows.length >= count ? Effect.succeed(rows) : Effect.fail("not yet" as const))),
      Effect.retry(Schedule.spaced("20 millis")),
      Effect.timeout("30 seconds"),
      Effect.orElse(() => read)
    )
  })

/** The GUARDIAN_SIGNING_KEY of processes that share a database. */
export const signingKey = generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()
