import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { ServiceVerdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type RevisionStatus, readStatus } from "../inspect/Status.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"
import { renderStatus } from "./Rendering.ts"

/** Reports a half-way revision with its exit code, although an upgrade may be able to continue it. */
const halfwayOf = (service: ServiceName, revisions: ReadonlyArray<RevisionStatus>): ServiceVerdict | null => {
  const halfway = revisions.find(({ steps }) => steps !== null)
  return halfway === undefined
    ? null
    : {
        message:
          `${service}: ${halfway.revision} is partly applied. Another process may be applying it (pnpm migrate unlock shows ` +
          `that); if not, see the remedies: pnpm migrate --service ${service} repair`,
        exitCode: ExitCode.partlyApplied
      }
}

export const statusCommand = Command.make("status", globalOptions, (inner) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, {
      command: "status",
      effects: "reads",
      work: readStatus,
      render: renderStatus,
      toJson: ({ problem, ...status }) => ({ ...status, problem: problem === null ? null : problem.message }),
      verdict: ({ problem, revisions, service }) => problem ?? halfwayOf(service, revisions)
    })
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Lists every revision and its state: applied, pending, late, partly applied, edited, missing. Takes no lock. " +
        "Pending revisions alone are not a failure.",
      ["migrate status", "migrate status --service router --json"]
    )
  )
)
