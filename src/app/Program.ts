import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Effect from "effect/Effect"
import { plainInPipes } from "../platform/cli/PlainConsole.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { commandLine } from "./Cli.ts"
import { type ExitStatus, exitCode, exitMessage } from "./ExitStatus.ts"
import { holdSignals } from "./Signals.ts"

const ending: ExitStatus = { signal: undefined, serving: false, report: ShutdownReport.make() }

holdSignals(ending)

commandLine(ending, process.argv).pipe(
  plainInPipes,
  Effect.provide([NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer]),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      const words = exitMessage(exit)
      if (words !== undefined) process.stderr.write(`${words}\n`)
      onExit(exitCode(exit, ending))
    }
  })
)
