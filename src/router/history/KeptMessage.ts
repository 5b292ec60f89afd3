import * as Predicate from "effect/Predicate"

/** Characters of a text in a message that may be data: a longer one is replaced by its kind and size. */
const maximumData = 256

const dataUrl = /^data:([\w.+/-]*)/

/** Members of parts that hold encoded bytes: `input_audio.data`, `file.file_data`, `audio.data`. */
const dataMembers: ReadonlySet<string> = new Set(["data", "file_data", "b64_json"])

const withoutData = (key: string, value: unknown): unknown => {
  if (typeof value !== "string" || value.length <= maximumData) return value
  const url = dataUrl.exec(value)
  if (url !== null) return `data:${url[1] ?? ""} (${value.length} characters)`
  return dataMembers.has(key) ? `(${value.length} characters)` : value
}

/**
 * Makes a JSON text storable as jsonb, which has neither NUL nor half a surrogate pair: `JSON.stringify` writes both as escapes. An
 * escaped backslash is one match, so that `\\u0000` in a text stays.
 */
const storableJson = (json: string): string =>
  json.replaceAll(/\\(?:u0000|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)/g, (escape) =>
    escape.length === 6 && !/^\\u(?!0000|[dD][89a-fA-F])/.test(escape) ? "\\ufffd" : escape
  )

/** Whether a message says no more than its role and its text. */
const isText = (message: Readonly<Record<PropertyKey, unknown>>): boolean => {
  for (const key in message) {
    if (key === "role") continue
    const value = message[key]
    if (key === "content" ? typeof value !== "string" && value !== null : value !== null && value !== undefined) {
      return false
    }
  }
  return true
}

/** The JSON of a message as the history keeps it; null where its text is all. */
export const keptMessage = (message: unknown): string | null => {
  if (!Predicate.isReadonlyRecord(message) || isText(message)) return null
  return storableJson(JSON.stringify(message, withoutData))
}
