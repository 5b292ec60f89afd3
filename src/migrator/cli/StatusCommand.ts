import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { ServiceVerdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { type Cell, tableOf } from "../../platform/cli/Table.ts"
import { type RevisionStatus, readStatus, type Status } from "../inspect/Status.ts"
import { describedFlag, onDatabase, subcommand, withProblemText } from "./GlobalOptions.ts"

const toneOf: Readonly<Record<RevisionStatus["state"], NonNullable<Cell["tone"]>>> = {
  applied: "good",
  pending: "warn",
  late: "bad",
  applying: "bad",
  reverting: "bad",
  missing: "warn",
  edited: "bad"
}

const nameOf = ({ state, steps }: RevisionStatus): string =>
  steps !== null
    ? `partly applied (${state}, ${steps.done} of ${steps.total} statements)`
    : state === "missing"
      ? "applied, file missing"
      : state === "edited"
        ? "applied, edited since"
        : state

/** Summarises a service: `at head 0002_b`, or what is missing: `2 pending, 1 late`. */
const summaryOf = ({ address, current, head, problem, revisions, service }: Status): string => {
  const counted = (["pending", "late", "missing", "edited", "applying", "reverting"] as const).flatMap((state) => {
    const found = revisions.filter((one) => one.state === state).length
    return found === 0 ? [] : [`${found} ${state}`]
  })
  const where = current === head ? `at head ${head}` : `at ${current}; head is ${head}`
  const what = counted.length === 0 ? "" : `; ${counted.join(", ")}`
  const next = problem === null && current !== head && counted.length > 0 ? `: pnpm migrate --service ${service}` : ""
  return `${service}: ${where}${what}${next} (${address})`
}

const renderRevisions = tableOf(
  ["service", "revision", "phase", "state", "applied at", "took"],
  ({ revisions, service }: Status) =>
    revisions.map((one) => [
      service,
      one.revision,
      one.phase,
      { text: nameOf(one), tone: toneOf[one.state] },
      one.appliedAt ?? "-",
      one.durationMs === null ? "-" : `${Math.round(one.durationMs)} ms`
    ])
)

/** Formats every revision of every service, the newest last, then a line for each service. */
const renderStatus = (statuses: ReadonlyArray<Status>, colours: boolean): string =>
  `${renderRevisions(statuses, colours)}\n\n${statuses.map(summaryOf).join("\n")}`

interface CurrentRevision extends Pick<Status, "service" | "current" | "head"> {
  readonly atHead: boolean
}

const renderCurrent = tableOf(["service", "current", "head"], ({ atHead, current, head, service }: CurrentRevision) => [
  [service, { text: current, tone: atHead ? "good" : "warn" }, atHead ? "(head)" : head]
])

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

export const statusCommand = subcommand(
  "status",
  {},
  [
    "Lists every revision and its state: applied, pending, late, partly applied, edited, missing. Takes no lock. " +
      "Pending revisions alone are not a failure.",
    ["migrate status", "migrate status --service router --json"]
  ],
  (options) =>
    onDatabase(options, {
      effects: "reads",
      work: readStatus,
      render: renderStatus,
      toJson: withProblemText,
      verdict: ({ problem, revisions, service }) => problem ?? halfwayOf(service, revisions)
    })
)

const checkHead = describedFlag("check-head", `End with ${ExitCode.pending} unless every service is at head.`)

export const currentCommand = subcommand(
  "current",
  { checkHead },
  ["Prints the current revision of each service.", ["migrate current", "migrate current --check-head"]],
  (options, { checkHead }) =>
    onDatabase(options, {
      effects: "reads",
      work: (service) =>
        Effect.map(readStatus(service), ({ current, head }) => ({
          service: service.name,
          current,
          head,
          atHead: current === head
        })),
      render: renderCurrent,
      verdict: ({ atHead, current, head, service }) =>
        checkHead && !atHead
          ? {
              message: `${service} is at ${current}, not at head ${head}. To go there: pnpm migrate --service ${service} upgrade`,
              exitCode: ExitCode.pending
            }
          : null
    })
)
