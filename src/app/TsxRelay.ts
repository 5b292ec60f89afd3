import { spawn } from "node:child_process"
import { constants } from "node:os"

const preflight = /[\\/]tsx[\\/]dist[\\/]preflight\.cjs$/

/**
 * Whether the `tsx` command, not `node --import tsx`, started this process.
 *
 * That command kills its child with SIGKILL when the child's event loop has not turned twice within 30 ms of a SIGINT or
 * SIGTERM (its `relaySignals`, seen in 4.23): a server under load would lose what it has answered.
 */
export const isStartedByTsx = (execArguments: ReadonlyArray<string>): boolean =>
  execArguments.some((argument) => preflight.test(argument))

/** The arguments of `node` for the same program without that command's own part. */
export const withoutTsxCommand = (execArguments: ReadonlyArray<string>): ReadonlyArray<string> =>
  execArguments.filter(
    (argument, index) =>
      !preflight.test(argument) && !(argument === "--require" && preflight.test(execArguments[index + 1] ?? ""))
  )

/** Runs the program in a process of its own and stays idle in between: quick to answer `tsx`, patient with the program. */
export const relay = (): void => {
  const child = spawn(process.execPath, [...withoutTsxCommand(process.execArgv), ...process.argv.slice(1)], {
    stdio: "inherit"
  })
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.once("error", (error) => {
    process.stderr.write(`gravitas: cannot start ${process.execPath}: ${error.message}\n`)
    process.exit(1)
  })
  child.once("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]))
}
