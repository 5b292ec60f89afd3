import * as Http from "node:http"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { tokenOf } from "../../support/Tokens.ts"
import { endpointsOf } from "./fuzz/Document.ts"
import { exchange } from "./fuzz/Exchange.ts"
import { type Input, inputOf } from "./fuzz/Inputs.ts"
import { auditIdOf, isDecided, problemOf } from "./fuzz/Verdict.ts"

export interface FuzzOptions {
  readonly urls: ReadonlyArray<string>
  /** Of the trail. */
  readonly databaseUrl: Redacted.Redacted
  /** About so many, shared evenly by the endpoints. */
  readonly requests: number
  /** The same seed, the same requests. */
  readonly seed: number
}

export interface FuzzReport {
  readonly endpoints: number
  readonly requests: number
  readonly byStatus: Readonly<Record<string, number>>
  /** With the request that showed each, the first few. */
  readonly problems: ReadonlyArray<string>
  /** Rows that answers named. */
  readonly decisions: number
  /** Ids that answers named and that are in no row; ids of requests that were decided more often than they have rows. */
  readonly withoutRow: ReadonlyArray<string>
}

const atOnce = 8
const shownProblems = 20

const shown = ({ body, endpoint, headers, method, target }: Input): string =>
  `${method} ${target.slice(0, 200)} (of ${endpoint.method} ${endpoint.path}) ` +
  `${JSON.stringify({ ...headers, authorization: "…" }).slice(0, 300)} ` +
  `${body === undefined ? "no body" : JSON.stringify(Buffer.from(body).toString("utf8").slice(0, 300))}`

const unrecorded = `
  select id::text from unnest($1::uuid[]) as named (id)
  where not exists (select from gatekeeper.audit_log as row where row.id = named.id)
  union all
  select asked.id from unnest($2::text[], $3::integer[]) as asked (id, times)
  where (select count(*) from gatekeeper.audit_log as row where row.request_id = asked.id) < asked.times`

/** Of `named` rows and `decided` requests, those that are not there within half a minute. */
const missing = (
  databaseUrl: Redacted.Redacted,
  named: ReadonlySet<string>,
  decided: ReadonlyMap<string, number>
): Effect.Effect<ReadonlyArray<string>> =>
  connect({ url: databaseUrl, applicationName: "gravitas chaos" }).pipe(
    Effect.flatMap((connection) =>
      connection.query(unrecorded, [[...named], [...decided.keys()], [...decided.values()]])
    ),
    Effect.map(({ rows }) => rows.map((row) => String(row["id"]))),
    Effect.scoped,
    Effect.orDie,
    Effect.filterOrFail(
      (left) => left.length === 0,
      (left) => left
    ),
    Effect.retry(Schedule.spaced("500 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.catchAll(Effect.succeed)
  )

/** Sends malformed requests to every endpoint that the services document. */
export const fuzz = ({ databaseUrl, requests, seed, urls }: FuzzOptions) =>
  Effect.gen(function* () {
    const endpoints = (yield* Effect.forEach(urls, endpointsOf)).flat()
    const ghosts = ["Supervisor_Managed_Agent", "Librarian", "Scout", "Stranger"]
    const tokens = yield* Effect.promise(() =>
      Promise.all([...ghosts.map((ghost) => tokenOf(ghost)), tokenOf("Scout", -60)])
    )
    const each = Math.ceil(requests / endpoints.length)
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: atOnce })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const problems: Array<string> = []
    const named = new Set<string>()
    const decided = new Map<string, number>()
    const byStatus: Record<string, number> = {}
    let sent = 0
    for (const [at, endpoint] of endpoints.entries()) {
      const inputs = FastCheck.sample(inputOf(endpoint, tokens), { numRuns: each, seed: seed + at })
      yield* Effect.forEach(
        inputs,
        (input) =>
          Effect.map(exchange(agent, input), (answer) => {
            sent += 1
            const problem = typeof answer === "string" ? answer : problemOf(input, answer)
            if (problem !== undefined && problems.length < shownProblems) problems.push(`${problem}: ${shown(input)}`)
            if (typeof answer === "string") return
            byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1
            const id = auditIdOf(answer)
            if (id !== undefined) named.add(id)
            const requestId = answer.headers["x-request-id"]
            if (typeof requestId === "string" && isDecided(input, answer)) {
              decided.set(requestId, (decided.get(requestId) ?? 0) + 1)
            }
          }),
        { concurrency: atOnce, discard: true }
      )
    }
    const report: FuzzReport = {
      endpoints: endpoints.length,
      requests: sent,
      byStatus,
      problems,
      decisions: named.size,
      withoutRow: yield* missing(databaseUrl, named, decided)
    }
    return report
  }).pipe(Effect.scoped)
