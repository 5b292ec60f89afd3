const nameWidth = 52
const cellWidth = 12

/** A name and its figures, aligned with the other lines. */
export const line = (name: string, cells: ReadonlyArray<string> = []): string =>
  (name.padEnd(nameWidth) + cells.map((cell) => cell.padStart(cellWidth)).join("")).trimEnd()

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US")

export const fixed =
  (digits: number) =>
  (value: number): string =>
    value.toFixed(digits)
