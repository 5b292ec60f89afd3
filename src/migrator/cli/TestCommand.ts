import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { type CatalogDifference, showDifference } from "../inspect/CatalogSnapshot.ts"
import { type RevisionRoundTrip, type RoundTripTest, testRoundTrips } from "../inspect/RoundTripTest.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

const failed = ({ afterDown, afterSecondUp }: RevisionRoundTrip): boolean => afterDown.length + afterSecondUp.length > 0

const render = (trials: ReadonlyArray<RoundTripTest>, colours: boolean): string =>
  renderTable(
    ["service", "revision", "up, down, up"],
    trials.flatMap(({ revisions, service }) =>
      revisions.map(
        (one): ReadonlyArray<Cell> => [
          { text: service },
          { text: one.revision },
          one.irreversible !== null
            ? { text: `up only; irreversible: ${one.irreversible}`, tone: "warn" }
            : failed(one)
              ? { text: "not reversible", tone: "bad" }
              : { text: "reversible", tone: "good" }
        ]
      )
    ),
    colours
  )

const lines = (differences: ReadonlyArray<CatalogDifference>): string =>
  differences.map((one) => `    ${showDifference(one).replaceAll("\n", "\n    ")}`).join("\n")

const verdict = ({ revisions, service }: RoundTripTest) => {
  const problems = revisions.flatMap(({ afterDown, afterSecondUp, revision }) => [
    ...(afterDown.length === 0
      ? []
      : [
          `  ${revision}: its down does not revert its up (+ left behind, - removed too much, ~ changed):\n${lines(afterDown)}`
        ]),
    ...(afterSecondUp.length === 0
      ? []
      : [`  ${revision}: up after down differs from the first up:\n${lines(afterSecondUp)}`])
  ])
  return problems.length === 0
    ? null
    : {
        message:
          `${service}: not reversible:\n${problems.join("\n")}\n` +
          `Correct the down script, then: pnpm migrate --service ${service} test`,
        exitCode: ExitCode.failed
      }
}

export const testCommand = Command.make("test", globalOptions, (inner) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, { command: "test", work: testRoundTrips, render, verdict })
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Applies, reverts and applies every revision again in a scratch database beside the configured one, and compares the " +
        "catalogs. The role must be allowed to create databases.",
      ["migrate test", "migrate test --service router", "migrate test --json"]
    )
  )
)
