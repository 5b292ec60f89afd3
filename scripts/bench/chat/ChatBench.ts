import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { bundledProgram } from "../../../test/support/ProgramBundle.ts"
import { tokenOf } from "../../../test/support/Tokens.ts"
import { drive, type Measurement } from "../http/Drive.ts"
import { closedSummary } from "../http/HttpBench.ts"
import { httpLoad } from "../http/HttpLoad.ts"
import type { LoadOrder } from "../http/LoadOrder.ts"
import { configFile } from "../http/Rivals.ts"
import { progress } from "../Progress.ts"
import type { Pace } from "../peers/Pace.ts"
import { routerProcess } from "./RouterProcess.ts"

const connections = 4

const body = JSON.stringify({ model: "echo", messages: [{ role: "user", content: "which shelf?" }] })

/** A chat with the model `echo` through router, guardian and gatekeeper in one process: a permission, a session, a route, a history. */
export const chatBench = (server: Redacted.Redacted, { millis, rounds, warmUpMillis }: Pace) =>
  Effect.gen(function* () {
    yield* progress("chat, starting and warming up")
    const { process, url } = yield* routerProcess(server, {
      program: yield* bundledProgram("scripts/bench/chat/ChatServer.ts"),
      models: configFile("models.yaml")
    })
    const load = yield* httpLoad
    const order: LoadOrder = {
      url,
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
