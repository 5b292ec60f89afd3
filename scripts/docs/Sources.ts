import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { commandLine } from "../../src/app/Cli.ts"
import { GatekeeperApi } from "../../src/contracts/gatekeeper/GatekeeperApi.ts"
import { GuardianApi } from "../../src/contracts/guardian/GuardianApi.ts"
import { RouterApi } from "../../src/contracts/router/RouterApi.ts"
import { Settings } from "../../src/platform/config/Settings.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"

export { errorCodes } from "../../src/contracts/ErrorCodes.ts"
export { exitCodes } from "../../src/platform/cli/ExitCode.ts"
export { type Declaration, declarationOf } from "../../src/platform/config/Setting.ts"

/*
 * Everything of the program that the generated documents read. When a room moves, this file changes and no other file of
 * scripts/docs does.
 */

/** Reads every setting of the program. Its result is not used: `Declarations.ts` records what it asks for. */
export const readSettings: Effect.Effect<unknown, unknown> = Effect.scoped(Layer.build(Settings.layer))

/** The contracts, in start order. */
export const contracts = { gatekeeper: GatekeeperApi, guardian: GuardianApi, router: RouterApi } as const

/** Prints the help of a command, by its words after the program's name. */
export const printHelp = (words: ReadonlyArray<string>, console: Console.Console): Effect.Effect<void, unknown> =>
  commandLine({ signal: undefined, serving: false, report: ShutdownReport.make() }, [
    "node",
    "gravitas",
    ...words,
    "--help"
  ]).pipe(Effect.provide(NodeContext.layer), Effect.withConsole(console), Effect.asVoid)
