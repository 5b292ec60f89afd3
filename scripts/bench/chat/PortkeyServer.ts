import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import { pathToFileURL } from "node:url"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { endWithBench, tell, usageOnDemand } from "../../../test/support/BenchChild.ts"

/** Portkey's gateway, in a process that tells its processor time. The word is the path of its program. */
const program = process.argv[2] ?? ""

/** The gateway accepts a port, but not 0. */
const freePort = Effect.async<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const connected = (port: number) =>
  Effect.async<void, Error>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.once("error", (error) => resume(Effect.fail(error)))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

endWithBench()

Effect.gen(function* () {
  const port = yield* freePort
  process.argv = [process.execPath, program, `--port=${port}`, "--headless"]
  yield* Effect.promise(() => import(pathToFileURL(program).href))
  yield* Effect.retry(connected(port), Schedule.spaced("50 millis"))
  yield* tell({ url: `http://127.0.0.1:${port}` })
  yield* usageOnDemand
}).pipe(NodeRuntime.runMain)
