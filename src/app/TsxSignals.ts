import { spawn } from "node:child_process"
import { constants } from "node:os"
import { serviceNames } from "../domain/Service.ts"

const preflight = /[\\/]tsx[\\/]dist[\\/]preflight\.cjs$/

/**
 * Whether the `tsx` command, not `node --import tsx`, started this process.
 *
 * That command kills its child with SIGKILL if the child's event loop has not turned twice within 30 ms of a SIGINT or
 * SIGTERM (its `relaySignals`, seen in 4.23): a server under load would lose events that it has answered.
 */
const isStartedByTsx = (execArguments: ReadonlyArray<string>): boolean =>
  execArguments.some((argument) => preflight.test(argument))

/** Removes what the `tsx` command added from the arguments of `node`. */
const withoutTsxCommand = (execArguments: ReadonlyArray<string>): ReadonlyArray<string> =>
  execArguments.filter(
    (argument, index) =>
      !preflight.test(argument) && !(argument === "--require" && preflight.test(execArguments[index + 1] ?? ""))
  )

/** Whether the command line names services only; a command may be cut short. */
const isServing = (words: ReadonlyArray<string>): boolean =>
  words.every((word) => serviceNames.some((service) => service === word))

/** Runs the program in a child process. This process stays idle in between, so it answers `tsx` in time. */
const relay = (): void => {
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

/** Relays to a child process if the `tsx` command started a server. Returns whether it does. */
export const relayUnderTsx = (): boolean => {
  const isNeeded = isServing(process.argv.slice(2)) && isStartedByTsx(process.execArgv)
  if (isNeeded) relay()
  return isNeeded
}
