import type { ServiceName } from "../../domain/Service.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import type { MigrationOutcome } from "../apply/Migrate.ts"
import type { RevisionStatus, Status } from "../inspect/Status.ts"

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

/** Formats every revision of every service, the newest last, then a line for each service. */
export const renderStatus = (statuses: ReadonlyArray<Status>, colours: boolean): string => {
  const rows = statuses.flatMap(({ revisions, service }) =>
    revisions.map(
      (revision): ReadonlyArray<Cell> => [
        { text: service },
        { text: revision.revision },
        { text: revision.phase },
        { text: nameOf(revision), tone: toneOf[revision.state] },
        { text: revision.appliedAt ?? "-" },
        { text: revision.durationMs === null ? "-" : `${Math.round(revision.durationMs)} ms` }
      ]
    )
  )
  const table = renderTable(["service", "revision", "phase", "state", "applied at", "took"], rows, colours)
  return `${table}\n\n${statuses.map(summaryOf).join("\n")}`
}

export interface CurrentRevision {
  readonly service: ServiceName
  readonly current: string
  readonly head: string
  readonly atHead: boolean
}

export const renderCurrent = (currents: ReadonlyArray<CurrentRevision>, colours: boolean): string =>
  renderTable(
    ["service", "current", "head"],
    currents.map(({ atHead, current, head, service }) => [
      { text: service },
      { text: current, tone: atHead ? "good" : "warn" },
      { text: atHead ? "(head)" : head }
    ]),
    colours
  )

export interface FileCheck {
  readonly service: ServiceName
  readonly head: string
  readonly revisions: number
  /** Only set if the database was checked. */
  readonly pending?: ReadonlyArray<string>
}

export const renderCheck = (checks: ReadonlyArray<FileCheck>, colours: boolean): string =>
  renderTable(
    ["service", "revisions", "head", ""],
    checks.map(({ head, pending, revisions, service }) => [
      { text: service },
      { text: String(revisions) },
      { text: head },
      {
        text:
          pending === undefined || pending.length === 0
            ? "files are valid"
            : `files are valid; ${pending.length} pending`,
        tone: "good"
      }
    ]),
    colours
  )

export const outcomeJson = ({ address, ahead, from, head, steps, to }: MigrationOutcome) => ({
  from,
  to,
  head,
  steps,
  ahead,
  address
})

/** Formats what each run did. */
export const renderOutcomes = (outcomes: ReadonlyArray<MigrationOutcome>, colours: boolean): string =>
  renderTable(
    ["service", "from", "to", "steps", ""],
    outcomes.map(({ ahead, from, head, service, steps, to }) => [
      { text: service },
      { text: from },
      { text: to, tone: to === head ? "good" : "warn" },
      { text: String(steps.length) },
      { text: ahead.length > 0 ? `ahead of head ${head}` : to === head ? "(head)" : `head is ${head}` }
    ]),
    colours
  )
