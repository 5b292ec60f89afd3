import type * as Terminal from "@effect/platform/Terminal"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { JournalInUse } from "../../../src/audit/journal/Journal.ts"
import { runImport } from "../../../src/guardian/cli/ImportRun.ts"
import type { CommandFailed } from "../../../src/platform/cli/CommandRunner.ts"

it.effect("an import whose journal another process holds ends with 7", () =>
  Effect.gen(function* () {
    const inUse = Layer.fail(new JournalInUse({ path: "/journal", holder: "process 1" }))
    const trail = Layer.succeed(AuditLog, {} as typeof AuditLog.Service)
    const request = { directory: "/certificates", resign: false, assumeUtc: false, dryRun: false, by: "test" }
    // The first layer fails, so that no other service is used.
    const run = runImport(inUse, trail, { ...request, json: true, noColor: true }) as Effect.Effect<
      void,
      CommandFailed,
      Terminal.Terminal
    >
    const failed = yield* Effect.flip(Effect.provide(run, NodeContext.layer))
    expect(failed).toMatchObject({ _tag: "CommandFailed", exitCode: 7 })
  })
)
