import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { databaseOn } from "../../../test/support/BenchDatabase.ts"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { rowsOf } from "../../../test/support/Rows.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret, tokenOf } from "../../../test/support/Tokens.ts"
import { httpLoad } from "../audit/HttpLoad.ts"
import { type ProfileReport, readProfile } from "../http/CpuProfile.ts"
import { type Server, startFlags, startServer } from "../http/Rivals.ts"
import { progress } from "../Progress.ts"
import { median, medianPercentiles, type Percentiles } from "../Samples.ts"

const connections = 8
const rounds = 5
/** Requests, not time: on a slow machine a short round would have too few. */
const roundRequests = 300
/** The code of a server under its first load is not compiled yet. */
const warmUpRequests = 1_500
const profileRequests = 3_000
const stepMillis = 2_000

const body = JSON.stringify({
  model: "echo",
  messages: [{ role: "user", content: "which shelf has the third volume?" }]
})

/** How the services of one process call each other, or a bare `node:http`: what any answer costs at this moment. */
const rivals = ["node", "overHttp", "inProcess"] as const
type Rival = (typeof rivals)[number]

interface ChatServer extends Server {
  readonly path: string
}

/** A guardian answers only about an agent that is certified. */
const certify = (guardian: string) =>
  Effect.promise(async () => {
    const token = await tokenOf("Supervisor_Managed_Agent")
    const { status } = await fetch(`${guardian}/certificates`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ agent: "Librarian" })
    })
    if (status !== 201) throw new Error(`POST /certificates answered ${status}`)
  })

const freePort = Effect.async<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Services that are told where the others are call them there, also where that is their own process. */
const startChats = (database: Redacted.Redacted, calls: "overHttp" | "inProcess", flags: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const [gatekeeperPort, guardianPort] = yield* Effect.all([freePort, freePort])
    const process = yield* benchProcess({
      program: "scripts/bench/chat/ChatServer.ts",
      words: [],
      flags: [...startFlags, ...flags],
      environment: {
        DATABASE_URL: Redacted.value(database),
        GRAVITAS_HOME: yield* temporaryHome,
        GATEKEEPER_PORT: String(gatekeeperPort),
        GUARDIAN_PORT: String(guardianPort),
        ROUTER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        // On a machine that others share, the first calls may take longer than a peer may.
        PEER_TIMEOUT: "30s",
        LOG_LEVEL: "error",
        ...(calls === "overHttp"
          ? {
              GATEKEEPER_URL: `http://127.0.0.1:${gatekeeperPort}`,
              GUARDIAN_URL: `http://127.0.0.1:${guardianPort}`
            }
          : {})
      }
    })
    const { guardian, router } = yield* process.next(Schema.Struct({ guardian: Schema.String, router: Schema.String }))
    yield* certify(guardian)
    const server: ChatServer = { process, url: router, path: "/v1/chat/completions" }
    return server
  })

const processorTime = ({ process }: ChatServer) =>
  process.send("usage").pipe(
    Effect.zipRight(process.next(Schema.Struct({ processorTime: Schema.Number }))),
    Effect.map((usage) => usage.processorTime)
  )

interface Driven {
  readonly requests: number
  readonly perSecond: number
  readonly latency: Percentiles
}

/** Asks for some seconds at a time until there were `enough` requests; the other figures are those of the last seconds. */
const ask = (server: ChatServer, token: string, enough: number, before = 0): Effect.Effect<Driven> =>
  httpLoad({ url: server.url, path: server.path, token, body, connections, millis: stepMillis }).pipe(
    Effect.flatMap(({ latency, perSecond, requests }) => {
      const done = before + requests
      return done >= enough ? Effect.succeed({ requests: done, perSecond, latency }) : ask(server, token, enough, done)
    })
  )

const drive = (server: ChatServer, token: string, enough: number) =>
  Effect.gen(function* () {
    const before = yield* processorTime(server)
    const driven = yield* ask(server, token, enough)
    // The end of a session and the rows are part of a chat.
    yield* Effect.sleep("500 millis")
    const after = yield* processorTime(server)
    return { ...driven, processorTimeEach: (after - before) / driven.requests }
  })

const eventCount = (database: Redacted.Redacted) =>
  Effect.map(rowsOf(database, "select count(*)::int as n from gatekeeper.audit_log"), ([row]) => Number(row?.["n"]))

type Taken = Effect.Effect.Success<ReturnType<typeof drive>>

/**
 * A chat with the model `echo`, all services in one process: what it costs beside the model, where the services call each other in
 * process and over HTTP, in turns. `server` is a PostgreSQL, on which each has a database.
 */
export const chatBench = (server: Redacted.Redacted) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const database = yield* databaseOn(server)
    const bare = yield* startServer(database, "node")
    const servers: Readonly<Record<Rival, ChatServer>> = {
      node: { ...bare, path: "/" },
      overHttp: yield* startChats(yield* databaseOn(server), "overHttp"),
      inProcess: yield* startChats(database, "inProcess")
    }
    for (const rival of rivals) {
      yield* progress(`warming up: ${rival}`)
      yield* drive(servers[rival], token, warmUpRequests)
    }
    const eventsBefore = yield* eventCount(database)
    const taken: Record<Rival, Array<Taken>> = { node: [], overHttp: [], inProcess: [] }
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`round ${round} of ${rounds}`)
      for (const rival of rivals) taken[rival].push(yield* drive(servers[rival], token, roundRequests))
    }
    const events = (yield* eventCount(database)) - eventsBefore
    const summary = (rival: Rival) => ({
      perSecond: median(taken[rival].map(({ perSecond }) => perSecond)),
      microseconds: medianPercentiles(taken[rival].map(({ latency }) => latency)),
      processorTimeEach: median(taken[rival].map(({ processorTimeEach }) => processorTimeEach)),
      /** Round by round: a busy machine slows both. */
      toNode: median(
        taken[rival].map(
          ({ processorTimeEach }, at) => processorTimeEach / (taken.node[at]?.processorTimeEach ?? Number.NaN)
        )
      )
    })
    return {
      connections,
      node: summary("node"),
      overHttp: summary("overHttp"),
      inProcess: summary("inProcess"),
      eventsPerChat: events / taken.inProcess.reduce((sum, { requests }) => sum + requests, 0)
    }
  }).pipe(Effect.scoped)

type ChatReport = Effect.Effect.Success<ReturnType<typeof chatBench>>

const names: Readonly<Record<Rival, string>> = {
  node: "bare node:http",
  overHttp: "chat, services calling each other over HTTP",
  inProcess: "chat, services calling each other in process"
}

export const chatTable = (report: ChatReport): ReadonlyArray<string> => [
  line(`POST, ${report.connections} connections, ${fixed(1)(report.eventsPerChat)} events a chat`, [
    "per second",
    "p50 ms",
    "p99 ms",
    "cpu us each",
    "/ node"
  ]),
  ...rivals.map((rival) => {
    const { microseconds, perSecond, processorTimeEach, toNode } = report[rival]
    return line(names[rival], [
      whole(perSecond),
      fixed(2)(microseconds.p50 / 1_000),
      fixed(2)(microseconds.p99 / 1_000),
      whole(processorTimeEach),
      fixed(1)(toNode)
    ])
  })
]

/** Where the processor's time goes while chats are answered. */
export const chatProfile = (postgres: Redacted.Redacted) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    yield* Effect.gen(function* () {
      const flags = ["--cpu-prof", `--cpu-prof-dir=${directory}`]
      const server = yield* startChats(yield* databaseOn(postgres), "inProcess", flags)
      yield* progress("chats under load, profiled")
      yield* drive(server, token, profileRequests)
    }).pipe(Effect.scoped)
    return readProfile(directory)
  }).pipe(Effect.scoped)

export const chatProfileTable = ({ functions, packages }: ProfileReport): ReadonlyArray<string> => [
  line("a chat, self time by package", ["%"]),
  ...packages.map(({ name, share }) => line(name, [fixed(1)(share * 100)])),
  "",
  line("by function", ["%"]),
  ...functions.map(({ name, share }) => line(name, [fixed(1)(share * 100)]))
]
