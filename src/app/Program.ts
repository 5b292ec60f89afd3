import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Effect from "effect/Effect"
import { plainInPipes } from "../platform/cli/TerminalText.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { commandLine } from "./Cli.ts"
import { type ExitStatus, exitCode, exitMessage } from "./ExitStatus.ts"
import { holdSignals } from "./Signals.ts"

/** Runs the command line and ends the process. Of what signals and failures do to it, see Signals and ExitStatus. */
export const run = (): void => {
  const status: ExitStatus = { signal: undefined, serving: false, report: ShutdownReport.make() }
  holdSignals(status)
  commandLine(status, process.argv).pipe(
    plainInPipes,
    Effect.provide([NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer]),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      disablePrettyLogger: true,
      teardown: (exit, onExit) => {
        const message = exitMessage(exit)
        if (message !== undefined) process.stderr.write(`${message}\n`)
        onExit(exitCode(exit, status))
      }
    })
  )
}
