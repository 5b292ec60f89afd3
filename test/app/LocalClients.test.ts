import * as NodeContext from "@effect/platform-node/NodeContext"
import { expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as AllSettings from "../../src/app/AllSettings.ts"
import { preparationsOf, serversOf } from "../../src/app/Services.ts"
import { storage } from "../../src/app/Storage.ts"
import { GatekeeperClient } from "../../src/clients/GatekeeperClient.ts"
import { GuardianClient } from "../../src/clients/GuardianClient.ts"
import * as Gatekeeper from "../../src/gatekeeper/Gatekeeper.ts"
import { StopRegister } from "../../src/gatekeeper/stops/StopRegister.ts"
import { Addresses } from "../../src/platform/http/Listener.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import * as Telemetry from "../../src/platform/telemetry/Telemetry.ts"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { ownTokens, peersAt } from "../support/PeerServer.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

type Clients = GatekeeperClient | GuardianClient

const services = ["gatekeeper", "guardian"] as const

/** What the clients call: without these operations they would go over HTTP, and the test would compare HTTP with itself. */
const localPaths = [
  ["gatekeeper", ["/validate"]],
  ["guardian", ["/validate", "/session/start", "/sessions/keep", "/session/end"]]
] as const

/** Gatekeeper and guardian in this process, with the clients that a router here has, and those of one elsewhere. */
const servedServices = (sessionTimeout: string) =>
  Effect.gen(function* () {
    const databaseUrl = yield* freshDatabase
    const environment = {
      DATABASE_URL: Redacted.value(databaseUrl),
      GRAVITAS_HOME: yield* temporaryHome,
      JWT_SECRET_KEY: signingSecret,
      GUARDIAN_SIGNING_KEY: signingKey,
      GATEKEEPER_PORT: "0",
      GUARDIAN_PORT: "0",
      ACCESS_POLICY_PATH: "test/support/fleet-policy.yaml",
      GUARDIAN_SESSION_TIMEOUT: sessionTimeout,
      PEER_TIMEOUT: "30s"
    }
    const context = yield* Layer.build(
      serversOf(services).pipe(
        Layer.provideMerge(Layer.provide(Layer.mergeAll(GatekeeperClient.layer, GuardianClient.layer), ownTokens)),
        Layer.provide(StopRegister.stops),
        Layer.provide(Gatekeeper.trail),
        Layer.provide(preparationsOf(services)),
        Layer.provideMerge(
          Layer.merge(storage(services, { join: false, beneathPools: Telemetry.layer }), Addresses.layer)
        ),
        Layer.provide([
          ShutdownReport.layer,
          AllSettings.layer.pipe(
            Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))))
          ),
          NodeContext.layer,
          Logger.remove(Logger.defaultLogger)
        ])
      )
    )
    const known = yield* Context.get(context, Addresses).all
    for (const [service, paths] of localPaths) {
      for (const path of paths) expect([path, known.get(service)?.calls.find(path)]).not.toEqual([path, undefined])
    }
    const gatekeeper = known.get("gatekeeper")?.url ?? ""
    const guardian = known.get("guardian")?.url ?? ""
    const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
    for (const agent of ["Librarian", "dan_flory"]) {
      expect((yield* request(`${guardian}/certificates`, { token, body: { agent } })).status).toBe(201)
    }
    const elsewhere = yield* Layer.build(
      Layer.fresh(peersAt(gatekeeper, "30s", { GUARDIAN_URL: guardian, GUARDIAN_SESSION_TIMEOUT: sessionTimeout }))
    )
    return { databaseUrl, ways: { local: context, ahttp: elsewhere } as const }
  })

/** Both have five characters, so that a name with one in it is as long. */
type Way = "local" | "ahttp"

interface Call {
  readonly authorization: string | undefined
  readonly make: (
    way: Way,
    headers: { readonly authorization: string | undefined; readonly requestId: string }
  ) => Effect.Effect<unknown, unknown, Clients>
}

const oddTexts = [
  "",
  "\u0000",
  "a\nb",
  "ü",
  "😀",
  "\ud800",
  ".",
  "..",
  "a//b",
  "a/../b",
  "é".repeat(101),
  "a".repeat(255)
]

const text = FastCheck.oneof(
  FastCheck.constantFrom("read", "execute", "vaults/public", "shells/l1/echo", "shells/l3/echo", ...oddTexts),
  FastCheck.string({ unit: "binary", maxLength: 8 }),
  FastCheck.integer({ min: 98, max: 257 }).map((length) => "a".repeat(length))
)

const deep = (depth: number): unknown => (depth === 0 ? 1 : { a: deep(depth - 1) })

const oddValues: ReadonlyArray<unknown> = [
  undefined,
  Number.NaN,
  -0,
  Number.POSITIVE_INFINITY,
  new Date(0),
  1n,
  () => 1,
  deep(40),
  "x".repeat(70_000),
  "\u2028".repeat(25_000),
  new Map([[1, 2]]),
  { toJSON: () => "told" },
  JSON.parse('{"__proto__":{"a":1}}')
]

const metadata = FastCheck.dictionary(
  FastCheck.constantFrom("shell_id", "a", "prompt", "", "\u0000"),
  FastCheck.oneof(FastCheck.jsonValue(), FastCheck.constantFrom(...oddValues)),
  { maxKeys: 3 }
)

const agent = FastCheck.oneof(
  FastCheck.constant("Librarian"),
  FastCheck.constantFrom("Scout", "nightly", "team/a", "Librarian ", "a".repeat(201), ...oddTexts)
)

const session = FastCheck.oneof(
  FastCheck.constantFrom("one", "two", "three", "x".repeat(195), "x".repeat(196), "a/b", "a//b", "\n"),
  FastCheck.string({ maxLength: 3 })
)

const authorizations = (tokens: ReadonlyArray<string>) =>
  FastCheck.oneof(
    { weight: 10, arbitrary: FastCheck.constantFrom(...tokens.slice(0, 2)).map((token) => `Bearer ${token}`) },
    { weight: 2, arbitrary: FastCheck.constantFrom(...tokens).map((token) => `Bearer ${token}`) },
    {
      weight: 1,
      arbitrary: FastCheck.constantFrom(
        undefined,
        "",
        "Basic YTpi",
        "Bearer x",
        ` bearer  ${tokens[0]} \t`,
        `Bearer${" ".repeat(16_000)}x`,
        `Bearer ${"a".repeat(17_000)}`,
        "Bearer \u00ff"
      )
    }
  )

const calls = (tokens: ReadonlyArray<string>): FastCheck.Arbitrary<Call> =>
  FastCheck.record({
    authorization: authorizations(tokens),
    make: FastCheck.oneof(
      FastCheck.oneof(
        FastCheck.record({ action: text, resource: text, metadata }, { requiredKeys: ["action", "resource"] }),
        FastCheck.record({ action: FastCheck.constant("read"), resource: FastCheck.constant("vaults/a"), metadata })
      ).map(
        (question): Call["make"] =>
          (_, headers) =>
            Effect.flatMap(GatekeeperClient, (client) => client.authorize({ ...headers, ...question }))
      ),
      agent.map(
        (one): Call["make"] =>
          (_, headers) =>
            Effect.flatMap(GuardianClient, (client) => client.certified({ ...headers, agent: one }))
      ),
      FastCheck.tuple(agent, session, metadata).map(
        ([one, name, facts]): Call["make"] =>
          (way, headers) =>
            Effect.flatMap(GuardianClient, (client) =>
              client.startSession({ ...headers, agent: one, sessionId: `${way}${name}`, metadata: facts })
            )
      ),
      FastCheck.tuple(agent, session).map(
        ([one, name]): Call["make"] =>
          (way, headers) =>
            Effect.flatMap(GuardianClient, (client) =>
              client.endSession({ ...headers, agent: one, sessionId: `${way}${name}` })
            )
      )
    )
  })

const askToRead: Call["make"] = (_, headers) =>
  Effect.flatMap(GatekeeperClient, (client) => client.authorize({ ...headers, action: "read", resource: "vaults/a" }))

/** Ids, times and the way differ between two calls that are the same. */
const comparable = (value: unknown): string =>
  JSON.stringify(value, (key, one: unknown) => (key === "requestId" ? undefined : one))
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uuid>")
    .replace(/"trace_id":"[0-9a-f]{32}"/g, '"trace_id":"<trace>"')
    // The clients of this test handle no request whose sender a local call could name.
    .replace(/"client_address":"(127\.0\.0\.1|unknown)"/g, '"client_address":"<address>"')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "<time>")
    .replaceAll("ahttp", "local")

it.scopedLive(
  "a client in the same process gets the same answers and errors as over HTTP, and leaves the same rows",
  () =>
    Effect.gen(function* () {
      const { databaseUrl, ways } = yield* servedServices("15m")
      const tokens = yield* Effect.promise(() =>
        Promise.all([
          tokenOf("Librarian"),
          tokenOf("Supervisor_Managed_Agent"),
          tokenOf("Scout"),
          tokenOf("Librarian", -5)
        ])
      )
      const generated = FastCheck.sample(calls(tokens), { numRuns: 600, seed: 20_261_129 })
      const ask = (way: Way, { authorization, make }: Call, id: string) =>
        Effect.exit(make(way, { authorization, requestId: `${way}-${id}` })).pipe(Effect.provide(ways[way]))
      let failures = 0
      for (const [index, call] of generated.entries()) {
        const local = yield* ask("local", call, String(index))
        const overHttp = yield* ask("ahttp", call, String(index))
        expect(comparable(local), `call ${index}`).toBe(comparable(overHttp))
        if (local._tag === "Failure") failures += 1
      }
      expect(failures).toBeGreaterThan(100)
      expect(generated.length - failures).toBeGreaterThan(50)
      // The trail commits in the order of its numbers, so this row is the last.
      yield* ask("ahttp", { authorization: undefined, make: askToRead }, String(generated.length))
      const rows = (way: Way) =>
        Effect.map(
          rowsOf(
            databaseUrl,
            `select split_part(request_id, '-', 2)::int as call, action, resource, ghost_id, shell_id, result, reason, metadata, marks
             from gatekeeper.audit_log where request_id like $1 order by call, seq`,
            [`${way}-%`]
          ),
          (found) => found.map(comparable)
        )
      const isLast = (row: string) => row.includes(`"call":${generated.length},`)
      const overHttp = yield* eventually(rows("ahttp"), (found) => found.some(isLast), { within: "60 seconds" })
      expect(overHttp.length).toBeGreaterThan(generated.length)
      expect(yield* rows("local")).toEqual(overHttp.filter((row) => !isLast(row)))
    }),
  240_000
)
