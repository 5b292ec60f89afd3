import { performance } from "node:perf_hooks"
import { isatty } from "node:tty"
import type { ExitStatus } from "./ExitStatus.ts"

/** A Ctrl-C reaches the whole group, and pnpm, npx and tsx send it again: within this time it counts as one request. */
const echoMillis = 2_000

const stillStopping =
  "gravitas: still stopping, within SHUTDOWN_DEADLINE. kill -9 ends it at once, and loses what is not written yet\n"

/**
 * Records the first signal and suppresses the default action of every later one: a second Ctrl-C must not interrupt the
 * writing of answered events. A terminal that closes stops the program as SIGTERM does (`nohup` detaches stdin).
 */
export const holdSignals = (ending: ExitStatus): void => {
  let recordedAt = 0
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (ending.signal === undefined) {
        ending.signal = signal
        recordedAt = performance.now()
      } else if (performance.now() - recordedAt > echoMillis) {
        process.stderr.write(stillStopping)
      }
    })
  }
  if (isatty(0)) process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}
