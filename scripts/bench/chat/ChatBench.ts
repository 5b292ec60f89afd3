import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { databaseOn } from "../../../test/support/BenchDatabase.ts"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { bundledProgram } from "../../../test/support/ProgramBundle.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret, tokenOf } from "../../../test/support/Tokens.ts"
import { drive, type Measurement } from "../http/Drive.ts"
import { closedSummary } from "../http/HttpBench.ts"
import { httpLoad } from "../http/HttpLoad.ts"
import type { LoadOrder } from "../http/LoadOrder.ts"
import { configFile, startFlags } from "../http/Rivals.ts"
import { progress } from "../Progress.ts"
import type { Pace } from "../peers/Pace.ts"

const connections = 4

const body = JSON.stringify({ model: "echo", messages: [{ role: "user", content: "which shelf?" }] })

const certify = (guardian: string) =>
  Effect.promise(async () => {
    const token = await tokenOf("Operator")
    const response = await fetch(new URL("/certificates", guardian), {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ agent: "Librarian" })
    })
    if (response.status !== 201) throw new Error(`the guardian answered ${response.status}: ${await response.text()}`)
  })

/** A chat with the model `echo` through router, guardian and gatekeeper in one process: a permission, a session, a route, a history. */
export const chatBench = (server: Redacted.Redacted, { millis, rounds, warmUpMillis }: Pace) =>
  Effect.gen(function* () {
    yield* progress("chat, starting and warming up")
    const process = yield* benchProcess({
      program: yield* bundledProgram("scripts/bench/chat/ChatServer.ts"),
      words: [],
      flags: startFlags,
      environment: {
        DATABASE_URL: Redacted.value(yield* databaseOn(server)),
        GRAVITAS_HOME: yield* temporaryHome,
        GATEKEEPER_PORT: "0",
        GUARDIAN_PORT: "0",
        ROUTER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: configFile("access-policy.yaml"),
        ROUTER_MODELS_PATH: configFile("models.yaml"),
        LOG_LEVEL: "error",
        // An answer that comes late on a busy machine shall be measured, not refused.
        PEER_TIMEOUT: "30s"
      }
    })
    const { guardian, router } = yield* process.next(Schema.Struct({ guardian: Schema.String, router: Schema.String }))
    yield* certify(guardian)
    const load = yield* httpLoad
    const order: LoadOrder = {
      url: new URL("/v1/chat/completions", router).href,
      token: yield* Effect.promise(() => tokenOf("Librarian")),
      body,
      expected: ['"content":"which shelf?"', '"finish_reason":"stop"'],
      connections,
      millis,
      requestsPerSecond: null,
      isKilled: false
    }
    yield* drive(load, { process }, { ...order, millis: warmUpMillis })
    const taken: Array<Measurement> = []
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`chat, round ${round} of ${rounds}`)
      taken.push(yield* drive(load, { process }, order))
    }
    return { connections, ...closedSummary(taken) }
  }).pipe(Effect.scoped)

export type ChatReport = Effect.Effect.Success<ReturnType<typeof chatBench>>
