const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/**
 * A value as PostgreSQL reads it in a script, where parameters cannot be sent. Strings need `standard_conforming_strings`
 * (the default); arrays become array literals of text, objects JSON.
 */
export const literal = (value: unknown): string => {
  if (value === null || value === undefined) return "null"
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value)
  if (typeof value === "string") return quoted(value)
  if (value instanceof Date) return quoted(value.toISOString())
  if (Array.isArray(value)) {
    const items = value.map((item) =>
      item === null ? "null" : `"${String(item).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
    )
    return quoted(`{${items.join(",")}}`)
  }
  return quoted(JSON.stringify(value))
}

/** A statement of the migrator's own with its parameters in place. Its text holds no `$` but those of parameters. */
export const withLiterals = (text: string, values: ReadonlyArray<unknown>): string =>
  text.replace(/\$(\d+)/g, (_, number: string) => literal(values[Number(number) - 1]))
