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

/** Answers every message with the processor time of this process, user and system, in microseconds. */
export const usageOnDemand: Effect.Effect<never> = Effect.async<void>((resume) => {
  process.once("message", () => resume(Effect.void))
}).pipe(
  Effect.zipRight(
    Effect.suspend(() => {
      const { system, user } = process.cpuUsage()
      return tell({ processorTime: user + system })
    })
  ),
  Effect.forever
)
