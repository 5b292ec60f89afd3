import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { commandLine } from "../../src/app/Cli.ts"
import { GatekeeperApi } from "../../src/contracts/gatekeeper/GatekeeperApi.ts"
import { GuardianApi } from "../../src/contracts/guardian/GuardianApi.ts"
import { RouterApi } from "../../src/contracts/router/RouterApi.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import * as StandardStreams from "../../src/platform/os/StandardStreams.ts"

export { variables } from "../../src/app/AllSettings.ts"
export { errorCodes } from "../../src/contracts/ErrorCodes.ts"
export { exitCodes } from "../../src/platform/cli/ExitCode.ts"
export type { Variable } from "../../src/platform/config/Setting.ts"

/*
 * Everything of the program that the generated documents read. When a room moves, this file changes and no other file of
 * scripts/docs does.
 */

/** The contracts, in start order. */
export const contracts = { gatekeeper: GatekeeperApi, guardian: GuardianApi, router: RouterApi } as const

/** Opened once: each opening adds listeners to the streams. */
const output = Layer.succeed(StandardStreams.StandardStreams, StandardStreams.openStreams())

/** Prints the help of a command, by its words after the program's name. */
export const printHelp = (words: ReadonlyArray<string>, console: Console.Console): Effect.Effect<void, unknown> =>
  commandLine({ signal: undefined, serving: false, report: ShutdownReport.make() }, [
    "node",
    "gravitas",
    ...words,
    "--help"
  ]).pipe(Effect.provide([NodeContext.layer, output]), Effect.withConsole(console), Effect.asVoid)
