import { visible } from "./TerminalText.ts"

/** One cell: its text, and its colour on a terminal that shows colours. */
export interface Cell {
  readonly text: string
  readonly tone?: "good" | "warn" | "bad" | "quiet"
}

const codes = { good: 32, warn: 33, bad: 31, quiet: 90 } as const

const painted = ({ text, tone }: Cell, colours: boolean): string =>
  colours && tone !== undefined ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text

/** A text is a cell without a colour. */
export type Row = ReadonlyArray<Cell | string>

const visibleCell = (cell: Cell | string): Cell =>
  typeof cell === "string" ? { text: visible(cell) } : { ...cell, text: visible(cell.text) }

/** Renders columns as wide as their widest cell, with two blanks between them and none at the end of a line. */
export const renderTable = (header: ReadonlyArray<string>, rows: ReadonlyArray<Row>, colours: boolean): string => {
  const all = [header.map((text): Cell => ({ text, tone: "quiet" })), ...rows].map((row) => row.map(visibleCell))
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.text.length ?? 0)))
  return all
    .map((row) =>
      row
        .map((cell, column) => {
          const last = column === row.length - 1
          return painted(cell, colours) + (last ? "" : " ".repeat((widths[column] ?? 0) - cell.text.length + 2))
        })
        .join("")
        .trimEnd()
    )
    .join("\n")
}

/** Renders the results of a command as one table; `rowsOf` returns the rows of one result. */
export const tableOf =
  <A>(header: ReadonlyArray<string>, rowsOf: (result: A) => ReadonlyArray<Row>) =>
  (results: ReadonlyArray<A>, colours: boolean): string =>
    renderTable(header, results.flatMap(rowsOf), colours)

/** Renders what is known of one thing: a line for each fact, and its name above them. */
export const renderFacts = (
  kind: string,
  name: string,
  facts: ReadonlyArray<readonly [name: string, value: string | Cell]>,
  colours: boolean
): string =>
  renderTable(
    [kind, name],
    facts.map(([text, value]) => [{ text, tone: "quiet" }, value]),
    colours
  )
