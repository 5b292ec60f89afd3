import { writeFile } from "node:fs/promises"
import * as Http from "node:http"
import * as Path from "node:path"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import { closedPort } from "../../support/ClosedPort.ts"
import { program } from "../../support/Program.ts"
import { rowsOf } from "../../support/Rows.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { testPostgres } from "../../support/TestPostgres.ts"
import { signingSecret, tokenOf } from "../../support/Tokens.ts"

const services = ["gatekeeper", "guardian", "router"] as const
type Service = (typeof services)[number]

export interface StopScenario {
  /** All services in one process, or each in one of its own with a home of its own. */
  readonly processes: "one" | "three"
  readonly streams: number
  /**
   * What else happens: a process is killed and started again at about the time of the stop, PostgreSQL does not answer from before the
   * stop until the end, or the ghost's token expires before the stop.
   */
  readonly event: "nothing" | "gatekeeper" | "guardian" | "postgres" | "expiry"
  readonly seed: number
}

export interface StopReport extends StopScenario {
  /** Of the stop's answer. */
  readonly status: number
  /** Streams that had begun, and those that ended with `[DONE]`: none should. */
  readonly begun: number
  readonly completed: number
  /** Milliseconds from the stop's answer, or from the readiness of the process that was started again, until the last stream ended. */
  readonly lastStream: number
  /** The same for the last session and certificate; null where PostgreSQL is away. */
  readonly lastRow: number | null
  /** Rows of the trail that say how the streams ended, by `closed_by`. */
  readonly closedBy: Readonly<Record<string, number>>
  /** Rows of the trail: the stop, and the revocations that it caused. */
  readonly stops: number
  readonly revocations: number
  /** A chat of the ghost after it. */
  readonly afterwards: number
}

/** Answers the status alone. */
const request = (url: string, options: { readonly token?: string; readonly body?: unknown } = {}) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(url, {
      method: options.body === undefined ? "GET" : "POST",
      headers: {
        "content-type": "application/json",
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` })
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal
    })
    await response.arrayBuffer()
    return { status: response.status }
  })

const ghost = "dan_flory"
const limit = 5_000

/** Whether everything ended in time, and was recorded once. */
export const isStopped = (run: StopReport): boolean => {
  const recorded = Object.values(run.closedBy).reduce((sum, count) => sum + count, 0)
  return (
    run.begun === run.streams &&
    run.completed === 0 &&
    run.status === (run.event === "postgres" ? 202 : 200) &&
    run.lastStream <= limit &&
    (run.lastRow ?? 0) <= limit &&
    recorded === run.streams &&
    run.stops === 1 &&
    run.revocations === 1 &&
    run.afterwards === 401
  )
}

const models = `
providers:
  echo: { kind: echo }
shells:
  slow: { provider: echo, model: echo-slow, tier: L1 }
`

/** Words of an answer: with a pause of 200 ms between them it takes ten minutes. */
const prompt = "word ".repeat(3_000)

interface StreamState {
  begun: boolean
  completed: boolean
  endedAt: number | undefined
}

/** One streamed chat; it never fails. */
const openStream = (router: string, token: string): StreamState => {
  const state: StreamState = { begun: false, completed: false, endedAt: undefined }
  const end = () => {
    state.endedAt ??= performance.now()
  }
  const asked = Http.request(new URL("/v1/chat/completions", router), {
    method: "POST",
    agent: false,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }
  })
  asked.on("response", (response) => {
    response.setEncoding("utf8").on("data", (piece: string) => {
      if (response.statusCode === 200) state.begun = true
      if (piece.includes("[DONE]")) state.completed = true
    })
    response.on("error", end).on("close", end)
  })
  asked.on("error", end)
  asked.end(JSON.stringify({ model: "slow", stream: true, messages: [{ role: "user", content: prompt }] }))
  return state
}

/** Repeats a look until it holds, for two minutes at most: a loaded machine takes its time. */
const until = <E, R>(look: Effect.Effect<boolean, E, R>) =>
  look.pipe(
    Effect.orElseSucceed(() => false),
    Effect.repeat({ until: (holds) => holds, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOption("2 minutes")
  )

/** The services of a scenario, on ports that stay theirs. */
const startServices = ({ processes }: StopScenario, databaseUrl: Redacted.Redacted) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    const path = Path.join(directory, "models.yaml")
    yield* Effect.promise(() => writeFile(path, models))
    const [gatekeeper = 0, guardian = 0, router = 0] = yield* Effect.all([closedPort, closedPort, closedPort])
    const urls = {
      gatekeeper: `http://127.0.0.1:${gatekeeper}`,
      guardian: `http://127.0.0.1:${guardian}`,
      router: `http://127.0.0.1:${router}`
    }
    const start = (names: ReadonlyArray<Service>, home: string) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
        const running = yield* program({
          args: names,
          directory: home,
          environment: {
            GRAVITAS_HOME: home,
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            ROUTER_MODELS_PATH: path,
            PEER_TIMEOUT: "30s",
            GATEKEEPER_PORT: String(gatekeeper),
            GUARDIAN_PORT: String(guardian),
            ROUTER_PORT: String(router)
          }
        }).pipe(Scope.extend(scope))
        for (const name of names) yield* running.url(name)
        return {
          kill: Effect.zipRight(running.signalGroup("SIGKILL"), running.ended()).pipe(
            Effect.zipRight(Scope.close(scope, Exit.void))
          ),
          output: running.output
        }
      })
    if (processes === "one") {
      yield* start(services, yield* temporaryHome)
      return { urls, restart: () => Effect.dieMessage("there is one process only") }
    }
    const homes = new Map<Service, string>()
    const running = new Map<Service, Effect.Effect.Success<ReturnType<typeof start>>>()
    for (const name of services) {
      const home = yield* temporaryHome
      homes.set(name, home)
      running.set(name, yield* start([name], home))
    }
    const restart = (name: Service) =>
      Effect.gen(function* () {
        yield* running.get(name)?.kill ?? Effect.void
        running.set(name, yield* start([name], homes.get(name) ?? ""))
      })
    return { urls, restart }
  })

const isReady = (url: string) => Effect.map(request(`${url}/readyz`), ({ status }) => status === 200)

/** Runs one scenario. */
export const stopGhost = (scenario: StopScenario): Effect.Effect<StopReport, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { event, seed, streams: count } = scenario
    const random = new PCGRandom(seed)
    const postgres = yield* testPostgres()
    const { restart, urls } = yield* startServices(scenario, postgres.url)
    const admin = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
    const rows = (text: string) => rowsOf(postgres.url, text, [])
    yield* until(Effect.map(Effect.all(Object.values(urls).map(isReady)), (ready) => ready.every(Boolean)))
    yield* request(`${urls.guardian}/certificates`, { token: admin, body: { agent: ghost } })

    const life = event === "expiry" ? 20 + Math.ceil(count / 5) : 3_600
    const token = yield* Effect.promise(() => tokenOf(ghost, life))
    const expiresAt = performance.now() + life * 1_000
    const streams: Array<StreamState> = []
    for (let opened = 0; opened < count; opened += 20) {
      const few = Array.from({ length: Math.min(20, count - opened) }, () => openStream(urls.router, token))
      streams.push(...few)
      yield* until(Effect.sync(() => few.every(({ begun, endedAt }) => begun || endedAt !== undefined)))
    }
    yield* Effect.sleep(random.integer(1_500))

    const stop = request(`${urls.gatekeeper}/ghosts/${ghost}/stop`, { token: admin, body: { reason: `drill ${seed}` } })
    let answer: { readonly status: number }
    let from: number
    if (event === "gatekeeper" || event === "guardian") {
      if (event === "guardian") {
        const restarted = yield* Effect.fork(restart("guardian"))
        yield* Effect.sleep(random.integer(500))
        answer = yield* stop
        from = performance.now()
        yield* restarted
      } else {
        answer = yield* stop
        from = performance.now()
        yield* Effect.sleep(random.integer(50))
        yield* restart("gatekeeper")
      }
      yield* until(isReady(urls[event]))
      from = Math.max(from, performance.now())
    } else {
      if (event === "expiry") yield* until(Effect.sync(() => performance.now() > expiresAt + 1_500))
      if (event === "postgres") yield* postgres.pause
      answer = yield* stop
      from = performance.now()
    }
    yield* until(Effect.sync(() => streams.every(({ endedAt }) => endedAt !== undefined)))
    const lastStream = Math.max(...streams.map(({ endedAt = Number.POSITIVE_INFINITY }) => endedAt - from))
    const isInForce = rows(
      `select from guardian.session where agent = '${ghost}' and ended_at is null
       union all select from guardian.certificate where agent = '${ghost}' and revoked_at is null`
    )
    if (event === "postgres") yield* postgres.resume
    yield* until(Effect.map(isInForce, (found) => found.length === 0))
    const lastRow = event === "postgres" ? null : performance.now() - from
    const afterwards = yield* request(`${urls.router}/v1/chat/completions`, {
      token,
      body: { model: "slow", messages: [{ role: "user", content: "a" }] }
    })
    const aborted = `select metadata ->> 'closed_by' as by from gatekeeper.audit_log where action = 'route.aborted'`
    const counted = (action: string) =>
      `select from gatekeeper.audit_log where action = '${action}' and resource in ('ghosts/${ghost}', 'certificates/${ghost}')`
    yield* until(Effect.map(rows(aborted), (found) => found.length >= count))
    yield* until(Effect.map(rows(counted("certificate.revoke")), (found) => found.length > 0))
    yield* until(Effect.map(rows("select from gatekeeper.revocation"), (found) => found.length > 0))
    const closedBy: Record<string, number> = {}
    for (const { by } of yield* rows(aborted)) closedBy[String(by)] = (closedBy[String(by)] ?? 0) + 1
    return {
      ...scenario,
      status: answer.status,
      begun: streams.filter(({ begun }) => begun).length,
      completed: streams.filter(({ completed }) => completed).length,
      lastStream: Math.max(0, Math.round(lastStream)),
      lastRow: lastRow === null ? null : Math.max(0, Math.round(lastRow)),
      closedBy,
      stops: (yield* rows(counted("ghost.stop"))).length,
      revocations: (yield* rows(counted("certificate.revoke"))).length,
      afterwards: afterwards.status
    }
  })

const everyEvent = ["nothing", "gatekeeper", "guardian", "postgres", "expiry"] as const

/** `pnpm chaos stop-ghost`. Answers whether everything ended within 5 seconds in each scenario; `json`: a line for each. */
export const stopGhostCommand = (given: Pick<StopScenario, "seed" | "streams"> & { readonly json: boolean }) =>
  Effect.gen(function* () {
    const { json, seed, streams } = given
    let all = true
    for (const processes of ["one", "three"] as const) {
      for (const event of everyEvent) {
        // One process has no peer that could be started again without it.
        if (processes === "one" && (event === "gatekeeper" || event === "guardian")) continue
        const run = yield* Effect.scoped(stopGhost({ processes, event, streams, seed }))
        all &&= isStopped(run)
        const { lastRow, lastStream, status } = run
        const closed = Object.entries(run.closedBy).map(([by, count]) => `${by}: ${count}`)
        console.log(
          json
            ? JSON.stringify(run)
            : `${processes} process${processes === "one" ? "" : "es"}, ${event}: ${run.begun} streams; stop answered ${status}; last stream ${lastStream} ms, ` +
                `last row ${lastRow ?? "-"} ms; ${closed.join(", ")}; ${run.stops} stop, ${run.revocations} revocation: ${isStopped(run) ? "stopped" : "NOT STOPPED"}`
        )
      }
    }
    return all
  })
