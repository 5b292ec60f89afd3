import { renderTable } from "../../platform/cli/Table.ts"
import type { Outcome } from "../apply/SchemaRun.ts"

export const outcomeJson = ({ address, ahead, from, head, steps, to }: Outcome) => ({
  from,
  to,
  head,
  steps,
  ahead,
  address
})

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
