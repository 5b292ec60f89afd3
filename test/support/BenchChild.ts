import type * as Http from "node:http"
import * as Effect from "effect/Effect"

/** Tells the bench that started this process. */
export const tell = (message: Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (process.send === undefined) return resume(Effect.dieMessage("the bench starts this program"))
    process.send(message, () => resume(Effect.void))
  })

/** No bench, no reason to go on. */
export const endWithBench = (): void => {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
}

/** What the process holds, in bytes. With `--expose-gc` the heap has only what is reachable. */
const memory = () => {
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  return { heapUsed, rss }
}

const processorTime = () => {
  const { system, user } = process.cpuUsage()
  return { processorTime: user + system }
}

/** Answers the message `memory` with the bytes of this process, every other with its processor time, user and system, in microseconds. */
export const usageOnDemand: Effect.Effect<never> = Effect.async<unknown>((resume) => {
  process.once("message", (message) => resume(Effect.succeed(message)))
}).pipe(
  Effect.flatMap((message) => Effect.suspend(() => tell(message === "memory" ? memory() : processorTime()))),
  Effect.forever
)

/** Serves on a free port of the loopback address, tells the bench its URL, and then its usage when asked. */
export const serveBench = (server: Http.Server): Effect.Effect<never> =>
  Effect.async<string>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(
        typeof address === "object" && address !== null
          ? Effect.succeed(`http://127.0.0.1:${address.port}`)
          : Effect.dieMessage("the server has no port")
      )
    })
  }).pipe(
    Effect.flatMap((url) => tell({ url })),
    Effect.zipRight(usageOnDemand)
  )
