import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ExitCode as auditExitCode } from "../../src/audit/commands/ExitCode.ts"
import { GatekeeperApi } from "../../src/gatekeeper/Api.ts"
import { ExitCode as policyExitCode } from "../../src/gatekeeper/commands/ExitCode.ts"
import { GuardianApi } from "../../src/guardian/Api.ts"
import { commandLine } from "../../src/launch/CommandLine.ts"
import { unwrittenExitCode } from "../../src/launch/Ending.ts"
import { ExitCode as migrateExitCode } from "../../src/migrator/ExitCode.ts"
import { commonExitCode } from "../../src/platform/console/ExitCode.ts"
import { meaningOf } from "../../src/platform/http/ErrorMeanings.ts"
import { Settings } from "../../src/platform/Settings.ts"
import { RouterApi } from "../../src/router/Api.ts"

/*
 * Everything of the program that the generated documents read. When a room moves, this file changes and no other file of
 * scripts/docs does.
 */

/** Reads every setting of the program. Its result is not used: `Declarations.ts` records what it asks for. */
export const readSettings: Effect.Effect<unknown, unknown> = Effect.scoped(Layer.build(Settings.layer))

/** The contracts, in start order. */
export const contracts = { gatekeeper: GatekeeperApi, guardian: GuardianApi, router: RouterApi } as const

/** What an error code means, in a sentence. */
export const errorMeaning = (code: string): string => meaningOf(code).replace(/^`[^`]*`(: )?/, "")

/** Prints the help of a command, by its words after the program's name. */
export const printHelp = (words: ReadonlyArray<string>, console: Console.Console): Effect.Effect<void, unknown> =>
  commandLine({ signal: undefined, serving: false, unwritten: 0 }, ["node", "gravitas", ...words, "--help"]).pipe(
    Effect.provide(NodeContext.layer),
    Effect.withConsole(console),
    Effect.asVoid
  )

/** The exit codes of each group of commands, by their names in the program. */
export const exitCodes = {
  "gravitas (the services)": {
    ok: 0,
    failed: commonExitCode.failed,
    usage: commonExitCode.usage,
    unwritten: unwrittenExitCode
  },
  "gravitas migrate": migrateExitCode,
  "gravitas trail, journal, dead-letters": auditExitCode,
  "gravitas policy": policyExitCode,
  "gravitas certificate import": { ...commonExitCode, filesRefused: 3, unknown: 11 }
} as const
