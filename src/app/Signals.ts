import { performance } from "node:perf_hooks"
import { isatty } from "node:tty"
import type { ExitStatus } from "./ExitStatus.ts"

/** A Ctrl-C reaches the whole group, and pnpm, npx and tsx hand it on once more: within this time it is one request. */
const echoMillis = 2_000

const stillStopping =
  "gravitas: still stopping, within SHUTDOWN_DEADLINE. kill -9 ends it at once, and loses what is not written yet\n"

/**
 * Notes the first signal and holds off the default action of every later one: a second Ctrl-C must not cut short the
 * writing of what was answered. A terminal that is closed ends the program as SIGTERM does (`nohup` detaches stdin).
 */
export const holdSignals = (ending: ExitStatus): void => {
  let notedAt = 0
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (ending.signal === undefined) {
        ending.signal = signal
        notedAt = performance.now()
      } else if (performance.now() - notedAt > echoMillis) {
        process.stderr.write(stillStopping)
      }
    })
  }
  if (isatty(0)) process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}
