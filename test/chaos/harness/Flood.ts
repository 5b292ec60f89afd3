import * as Http from "node:http"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import { PCGRandom } from "effect/Utils"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { testPostgres } from "../../support/TestPostgres.ts"
import { tokenOf } from "../../support/Tokens.ts"
import { settled, startServer } from "./Server.ts"
import { holdWriters, type TrailReport, trailReport } from "./Trail.ts"

export interface FloodOptions {
  readonly seconds: number
  readonly seed: number
}

type Statuses = Readonly<Record<string, number>>

export interface FloodRun {
  /** Of the requests without a valid token, by status. */
  readonly strangers: Statuses
  /** Of the authenticated requests meanwhile, by status. */
  readonly authenticated: Statuses
  /** In the table afterwards. */
  readonly rows: { readonly strangers: number; readonly authenticated: number }
  /** What the summaries count, and how many there are. */
  readonly limited: number
  readonly summaries: number
  readonly trail: TrailReport
  readonly exitCode: number | null
}

const connections = 48

/** Between two authenticated requests of one connection, in milliseconds: the journal has to hold them all. */
const pause = 20

const ask = (agent: Http.Agent, url: URL, headers: Http.OutgoingHttpHeaders, body: string) =>
  Effect.async<string>((resume) => {
    const request = Http.request(
      url,
      { agent, method: "POST", headers: { ...headers, "content-length": Buffer.byteLength(body) } },
      (response) => {
        response.resume()
        response.once("end", () => resume(Effect.succeed(String(response.statusCode))))
      }
    )
    request.once("error", () => resume(Effect.succeed("cut off")))
    request.end(body)
  })

/** Repeats a request until the time is over, and counts its answers. */
const repeated = (
  until: number,
  counts: Record<string, number>,
  send: Effect.Effect<string>,
  pauseMillis = 0
): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (performance.now() < until) {
      const status = yield* send
      counts[status] = (counts[status] ?? 0) + 1
      if (pauseMillis > 0) yield* Effect.sleep(pauseMillis)
    }
  })

const strangerOf = (random: PCGRandom, expired: string) => {
  const tokens = [undefined, "Basic YTpi", "Bearer a.b.c", `Bearer ${expired}`]
  return () => {
    const authorization = tokens[random.integer(tokens.length)]
    const metadata = { note: "x".repeat(random.integer(4_000)) }
    return {
      headers: {
        "x-request-id": "stranger",
        "x-forwarded-for": `203.0.113.${random.integer(256)}`,
        ...(authorization === undefined ? {} : { authorization })
      },
      body: JSON.stringify({ resource: `vaults/${random.integer(99)}`, metadata })
    }
  }
}

/** Floods a gatekeeper with requests without a valid token while its table is locked, and asks it as an authenticated caller. */
export const flood = ({ seconds, seed }: FloodOptions) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const postgres = yield* testPostgres()
    const server = yield* startServer({
      mode: "journal",
      home,
      databaseUrl: postgres.url,
      environment: {
        AUDIT_JOURNAL_MAX_BYTES: "64MiB",
        AUDIT_FAILURES_PER_ADDRESS: "10",
        AUDIT_FAILURES_IN_ALL: "100",
        LOG_LEVEL: "warning"
      }
    })
    const url = new URL("/validate", yield* server.url)
    const connection = yield* connect({ url: postgres.url, applicationName: "gravitas chaos" })
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: connections + 4 })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const [token, expired] = yield* Effect.promise(() => Promise.all([tokenOf("Librarian"), tokenOf("Librarian", -60)]))
    const draw = strangerOf(new PCGRandom(Hash.string(`flood ${seed}`)), expired)
    const strangers: Record<string, number> = {}
    const authenticated: Record<string, number> = {}
    const known = { "x-request-id": "authenticated", authorization: `Bearer ${token}` }
    const until = performance.now() + seconds * 1_000
    const sendStranger = Effect.suspend(() => {
      const { body, headers } = draw()
      return ask(agent, url, headers, body)
    })
    const sendAuthenticated = ask(agent, url, known, '{"action":"read","resource":"vaults/public"}')
    yield* Effect.all(
      [
        ...Array.from({ length: connections }, () => repeated(until, strangers, sendStranger)),
        ...Array.from({ length: 4 }, () => repeated(until, authenticated, sendAuthenticated, pause))
      ],
      { concurrency: "unbounded", discard: true }
    ).pipe((load) => Effect.scoped(Effect.zipRight(holdWriters(connection), load)))
    yield* settled(yield* server.url, home)
    yield* server.signal("SIGTERM")
    const { code } = yield* server.ended
    const { rows } = yield* connection.query(
      `select count(*) filter (where request_id = 'stranger')::int as strangers,
         count(*) filter (where request_id = 'authenticated')::int as authenticated,
         count(*) filter (where result = 'LIMITED')::int as summaries,
         coalesce(sum((metadata ->> 'count')::int) filter (where result = 'LIMITED'), 0)::int as limited
       from gatekeeper.audit_log`
    )
    const counted = (name: string) => Number(rows[0]?.[name])
    const run: FloodRun = {
      strangers,
      authenticated,
      rows: { strangers: counted("strangers"), authenticated: counted("authenticated") },
      limited: counted("limited"),
      summaries: counted("summaries"),
      trail: yield* trailReport(connection),
      exitCode: code
    }
    return run
  }).pipe(Effect.scoped)

const sum = (statuses: Statuses): number => Object.values(statuses).reduce((total, count) => total + count, 0)

/** Whether every request is in a row or in a count, and authenticated callers noticed nothing. */
export const isAccountedFor = ({ authenticated, exitCode, limited, rows, strangers, trail }: FloodRun): boolean =>
  Object.keys(authenticated).join() === "200" &&
  Object.keys(strangers).every((status) => status === "401" || status === "429") &&
  rows.authenticated === sum(authenticated) &&
  rows.strangers === (strangers["401"] ?? 0) &&
  limited === (strangers["429"] ?? 0) &&
  trail.gaps + trail.repeated + trail.deadLetters === 0 &&
  exitCode === 0

/** `pnpm chaos flood`. Answers whether every request is accounted for. */
export const floodCommand = ({ json, ...options }: FloodOptions & { readonly json: boolean }) =>
  Effect.gen(function* () {
    const run = yield* flood(options)
    const { authenticated, limited, rows, strangers, summaries } = run
    console.log(
      json
        ? JSON.stringify(run)
        : `${sum(strangers)} requests without a valid token: ${JSON.stringify(strangers)}; ${rows.strangers} rows, ` +
            `${limited} counted in ${summaries} summaries; authenticated: ${JSON.stringify(authenticated)}, ` +
            `${rows.authenticated} rows: ${isAccountedFor(run) ? "all accounted for" : "NOT ACCOUNTED FOR"}`
    )
    return isAccountedFor(run)
  })
