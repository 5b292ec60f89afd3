import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { databaseOn } from "../../../test/support/BenchDatabase.ts"
import { type BenchProcess, benchProcess } from "../../../test/support/BenchProcess.ts"
import { gatekeeperUp } from "../../../test/support/GatekeeperSchema.ts"
import { project } from "../../../test/support/Program.ts"
import { bundledProgram } from "../../../test/support/ProgramBundle.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret } from "../../../test/support/Tokens.ts"
import { type DecisionStore, decisionTable, keptIds } from "./RecordedDecisions.ts"

interface Kind {
  readonly title: string
  readonly program: string
  readonly word: string
  /** How the decisions that it keeps are found; null where it keeps none. */
  readonly keeps: keyof typeof keptIds | null
}

const bare = "scripts/bench/http/BareServer.ts"
const fastify = "scripts/bench/http/FastifyServer.ts"
const gatekeeper = "scripts/bench/audit/ValidateServer.ts"

/** Servers that answer `/validate`: the gatekeeper in each mode, what it stands on, and what could stand in its place. */
export const kinds = {
  node: { title: "bare node:http", program: bare, word: "node", keeps: null },
  router: { title: "bare router of @effect/platform", program: bare, word: "router", keeps: null },
  insert: { title: "Fastify, casbin, pg: one INSERT each", program: fastify, word: "insert", keeps: "table" },
  pino: { title: "Fastify, casbin, pino to a file", program: fastify, word: "pino", keeps: "file" },
  pinoSync: { title: "Fastify, casbin, pino to a file, sync", program: fastify, word: "pinoSync", keeps: "file" },
  off: { title: "/validate without a trail", program: gatekeeper, word: "off", keeps: null },
  memory: { title: "/validate, memory", program: gatekeeper, word: "memory", keeps: "trail" },
  journal: { title: "/validate, journal", program: gatekeeper, word: "journal", keeps: "trail" },
  fsync: { title: "/validate, fsync", program: gatekeeper, word: "fsync", keeps: "trail" },
  commit: { title: "/validate, commit", program: gatekeeper, word: "commit", keeps: "trail" }
} as const satisfies Record<string, Kind>

export type Rival = keyof typeof kinds

/** Where a server keeps what it decided; it outlives the process. */
export interface Place extends DecisionStore {
  readonly home: string
  /** The file that runs: the gatekeeper's is built, as `pnpm start` runs it. */
  readonly program: string
}

export interface Server {
  readonly process: BenchProcess
  readonly url: string
  readonly place: Place
}

/** As `start` in package.json runs the services. */
export const startFlags = ["--max-semi-space-size=64"]

/** A file of the checkout's config/. */
export const configFile = (name: string): string => join(project, "config", name)

/** A database and a directory of its own: what one rival keeps must neither slow another nor be counted as its. */
export const placeFor = (server: Redacted.Redacted, rival: Rival) =>
  Effect.gen(function* () {
    const database = yield* databaseOn(server)
    const home = yield* temporaryHome
    const { keeps, program: source } = kinds[rival]
    const program = source === gatekeeper ? yield* bundledProgram(source) : source
    if (keeps === "table") {
      const created = Effect.flatMap(connect({ url: database, applicationName: "gravitas bench" }), (connection) =>
        connection.query(decisionTable.create)
      )
      yield* Effect.scoped(created)
    } else if (source === gatekeeper) yield* gatekeeperUp(database)
    const place: Place = { database, home, program, file: join(home, "decisions.jsonl") }
    return place
  })

/** Starts a rival; a second start in the same place goes on where a killed process stopped. */
export const startServer = (place: Place, rival: Rival, flags: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const { word } = kinds[rival]
    const process = yield* benchProcess({
      program: place.program,
      words: [word],
      flags: [...startFlags, ...flags],
      environment: {
        DATABASE_URL: Redacted.value(place.database),
        DECISIONS_FILE: place.file,
        GRAVITAS_HOME: place.home,
        GATEKEEPER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: configFile("access-policy.yaml"),
        LOG_LEVEL: "error",
        // An answer that comes late on a busy machine shall be measured, not refused.
        AUDIT_COMMIT_DEADLINE: "30s",
        ...(kinds[rival].keeps === "trail" ? { AUDIT_DURABILITY: word } : {})
      }
    })
    const { url } = yield* process.next(Schema.Struct({ url: Schema.String }))
    const server: Server = { process, url, place }
    return server
  })

/** The ids of all decisions that a rival kept; null for one that keeps none. */
export const decisionsOf = (place: Place, rival: Rival): Effect.Effect<ReadonlySet<string> | null> => {
  const { keeps } = kinds[rival]
  return keeps === null ? Effect.succeed(null) : Effect.map(keptIds[keeps](place), (ids) => new Set(ids))
}
