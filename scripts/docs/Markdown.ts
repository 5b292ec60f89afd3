const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ")

/** Renders a table; `|` in a cell is escaped. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<string> => [
  `| ${head.join(" | ")} |`,
  `|${head.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`)
]

const begin = (name: string): string => `<!-- generated: ${name} -->`
const end = "<!-- end -->"

/**
 * Replaces what stands between `<!-- generated: name -->` and `<!-- end -->` by the lines of that name. Throws at a name that
 * `blocks` does not have, and at a block without an end.
 */
export const fillBlocks = (
  path: string,
  text: string,
  blocks: ReadonlyMap<string, () => ReadonlyArray<string>>
): string => {
  const lines: Array<string> = []
  let inside = false
  for (const line of text.split("\n")) {
    const name = /^<!-- generated: (.+) -->$/.exec(line)?.[1]
    if (name !== undefined) {
      const block = blocks.get(name)
      if (block === undefined) {
        throw new Error(`${path}: there is no generated block ${name}; known: ${[...blocks.keys()].join(", ")}`)
      }
      lines.push(begin(name), ...block(), end)
      inside = true
    } else if (line === end) inside = false
    else if (!inside) lines.push(line)
  }
  if (inside) throw new Error(`${path}: a generated block has no ${end}`)
  return lines.join("\n")
}
