import { programCommands } from "../../src/app/Commands.ts"
import { GatekeeperApi } from "../../src/contracts/gatekeeper/GatekeeperApi.ts"
import { GuardianApi } from "../../src/contracts/guardian/GuardianApi.ts"
import { RouterApi } from "../../src/contracts/router/RouterApi.ts"
import type { CommandNode } from "../../src/platform/cli/CommandTree.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"

export { variables } from "../../src/app/AllSettings.ts"
export { errorCodes } from "../../src/contracts/ErrorCodes.ts"
export type { CommandNode, Term } from "../../src/platform/cli/CommandTree.ts"
export { exitCodes } from "../../src/platform/cli/ExitCode.ts"
export { shownTerm } from "../../src/platform/cli/HelpPage.ts"
export type { Variable } from "../../src/platform/config/Setting.ts"

/*
 * Everything of the program that the generated documents read. When a room moves, this file changes and no other file of
 * scripts/docs does.
 */

/** The contracts, in start order. */
export const contracts = { gatekeeper: GatekeeperApi, guardian: GuardianApi, router: RouterApi } as const

/** Every command, as its help shows it. */
export const programTree: CommandNode = programCommands({
  signal: undefined,
  serving: false,
  report: ShutdownReport.make()
}).tree
