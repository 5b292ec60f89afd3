import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as Terminal from "@effect/platform/Terminal"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { JournalInUse } from "../../../src/audit/journal/Journal.ts"
import { runImport } from "../../../src/guardian/cli/ImportRun.ts"
import type { CommandFailed } from "../../../src/platform/cli/CommandRunner.ts"

/** Runs the import of `directory` against a database whose journal another process holds. */
const failureOf = (directory: string) => {
  const inUse = Layer.fail(new JournalInUse({ path: "/journal", holder: "process 1" }))
  const trail = Layer.succeed(AuditLog, {} as typeof AuditLog.Service)
  const request = { directory, resign: false, assumeUtc: false, dryRun: false, by: "test" }
  // The first layer fails, so that no other service is used.
  const run = runImport(inUse, trail, { ...request, json: true, noColor: true }) as Effect.Effect<
    void,
    CommandFailed,
    Terminal.Terminal
  >
  return Effect.flip(Effect.provide(run, NodeContext.layer))
}

it.effect("an import whose journal another process holds ends with 7", () =>
  Effect.gen(function* () {
    expect(yield* failureOf(tmpdir())).toMatchObject({ _tag: "CommandFailed", exitCode: 7 })
  })
)

it.effect("an import of a directory that does not exist ends with 11, before it opens a database or a journal", () =>
  Effect.gen(function* () {
    expect(yield* failureOf(join(tmpdir(), "gravitas-no-such-directory"))).toMatchObject({ exitCode: 11 })
  })
)
