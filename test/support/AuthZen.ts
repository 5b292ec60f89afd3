import { join } from "node:path"
import * as Effect from "effect/Effect"
import { type Answer, Gravitas, request, rowsOf, tokenOf } from "./Gravitas.ts"

const fixture = (name: string): string => join(import.meta.dirname, "../gatekeeper/fixtures", name)

/** The program with a policy of test/gatekeeper/fixtures; the same for all tests of a file. */
export const authZenProgram = (policy: string, environment: Readonly<Record<string, string>> = {}) =>
  Gravitas.layer({ environment: { ACCESS_POLICY_PATH: fixture(policy), ...environment } })

/** Asks as the policy enforcement point `caller`. */
export const askAs =
  (caller: string) =>
  (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const token = yield* Effect.promise(() => tokenOf(caller))
      return yield* request(`${gatekeeper}${path}`, { token, body, headers })
    })

export const one = "/access/v1/evaluation"
export const several = "/access/v1/evaluations"

/** The rows of a request, in their order, once there are as many. */
export const rowsOfRequest = (answer: Answer, count: number) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    return yield* rowsOf(databaseUrl, "select * from gatekeeper.audit_log where request_id = $1 order by source, seq", [
      answer.headers.get("x-request-id")
    ]).pipe(
      Effect.delay("20 millis"),
      Effect.repeat({ until: (rows) => rows.length === count }),
      Effect.timeout("30 seconds"),
      Effect.orDie
    )
  })

export const decisionsOf = ({ body }: Answer): ReadonlyArray<unknown> =>
  (body["evaluations"] as ReadonlyArray<{ readonly decision: unknown }>).map(({ decision }) => decision)

export const record = (id: string, properties?: object) => ({ type: "record", id, ...(properties && { properties }) })

export const user = (id: string) => ({ type: "user", id })
