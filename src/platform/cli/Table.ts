import { terminalWidth, visible } from "./TerminalText.ts"

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

const gap = 2

/** Cells in columns as wide as `widths`, with two blanks between them and none at the end of a line. */
const aligned = (row: ReadonlyArray<Cell>, widths: ReadonlyArray<number>, colours: boolean): string =>
  row
    .map((cell, column) => {
      const last = column === row.length - 1
      return painted(cell, colours) + (last ? "" : " ".repeat((widths[column] ?? 0) - cell.text.length + gap))
    })
    .join("")
    .trimEnd()

/** A row as lines of a title and a value; cells without a text are left out. */
const record = (titles: ReadonlyArray<Cell>, [first, ...cells]: ReadonlyArray<Cell>, colours: boolean): string => {
  const lines = cells.flatMap((cell, index) => (cell.text === "" ? [] : [[titles[index + 1] ?? { text: "" }, cell]]))
  const width = Math.max(0, ...lines.map(([title]) => title?.text.length ?? 0))
  const name = [titles[0], first].flatMap((cell) => cell ?? [])
  return [
    aligned(name, [name[0]?.text.length ?? 0], colours),
    ...lines.map((line) => `  ${aligned(line, [width], colours)}`)
  ].join("\n")
}

/**
 * Renders columns as wide as their widest cell. Where they need more than `width` columns of the terminal, each row is shown as a record
 * of its own.
 */
export const renderTable = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<Row>,
  colours: boolean,
  width = terminalWidth()
): string => {
  const titles = header.map((text) => visibleCell({ text, tone: "quiet" }))
  const cells = rows.map((row) => row.map(visibleCell))
  const all = [titles, ...cells]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.text.length ?? 0)))
  const whole = widths.reduce((sum, one) => sum + one + gap, -gap)
  return whole > width && header.length > 2 && rows.length > 0
    ? cells.map((row) => record(titles, row, colours)).join("\n\n")
    : all.map((row) => aligned(row, widths, colours)).join("\n")
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
