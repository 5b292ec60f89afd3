import type { ServiceName } from "../../domain/Service.ts"
import type { Outcome } from "../run/SchemaRun.ts"
import type { RevisionStatus, Status } from "../run/Status.ts"
import { type Cell, renderTable } from "./Table.ts"

const toneOf: Readonly<Record<RevisionStatus["state"], NonNullable<Cell["tone"]>>> = {
  applied: "good",
  pending: "warn",
  applying: "bad",
  reverting: "bad",
  unknown: "warn",
  edited: "bad"
}

/** Every revision of every service, the newest last. */
export const renderStatus = (statuses: ReadonlyArray<Status>, colours: boolean): string => {
  const rows = statuses.flatMap(({ revisions, service }) =>
    revisions.map((revision): ReadonlyArray<Cell> => {
      const { appliedAt, durationMs, phase, state } = revision
      return [
        { text: service },
        { text: revision.revision },
        { text: phase },
        { text: state, tone: toneOf[state] },
        { text: appliedAt ?? "-" },
        { text: durationMs === null ? "-" : `${Math.round(durationMs)} ms` }
      ]
    })
  )
  const places = statuses.map(({ address, current, head, service }) => {
    const where = current === head ? `at head ${head}` : `at ${current}; head is ${head}`
    return `${service}: ${where} (${address})`
  })
  return `${renderTable(["service", "revision", "phase", "state", "applied at", "took"], rows, colours)}\n\n${places.join("\n")}`
}

export interface Current {
  readonly service: ServiceName
  readonly current: string
  readonly head: string
  readonly atHead: boolean
}

export const renderCurrent = (currents: ReadonlyArray<Current>, colours: boolean): string =>
  renderTable(
    ["service", "current", "head"],
    currents.map(({ atHead, current, head, service }) => [
      { text: service },
      { text: current, tone: atHead ? "good" : "warn" },
      { text: atHead ? "(head)" : head }
    ]),
    colours
  )

/** What a run did; of several steps the first and the last are in `from` and `to`. */
export const renderOutcomes = (outcomes: ReadonlyArray<Outcome>, colours: boolean): string =>
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

export interface Checked {
  readonly service: ServiceName
  readonly head: string
  readonly revisions: number
}

export const renderCheck = (checks: ReadonlyArray<Checked>, colours: boolean): string =>
  renderTable(
    ["service", "revisions", "head", ""],
    checks.map(({ head, revisions, service }) => [
      { text: service },
      { text: String(revisions) },
      { text: head },
      { text: "files are valid", tone: "good" }
    ]),
    colours
  )
