import * as Predicate from "effect/Predicate"

/** Characters of a text in a message that may be data: a longer one is replaced by its kind and size. */
const maximumData = 256

/** A data URL (RFC 2397) within a text; it ends where a text around it goes on. */
const dataUrls = /data:([\w.+/-]{0,100})(?:;[\w.+=-]{1,100}){0,4},[^\s"'`<>()[\]\\]{200,}/gi

/** The URL of a part may hold characters that would end it in a text. */
const wholeDataUrl = /^data:([\w.+/-]{0,100})/i

/** Members that hold encoded bytes, wherever they are: `file.file_data`. */
const dataMembers: ReadonlySet<string> = new Set(["file_data", "b64_json"])

/** Keys and types of parts whose member `data` holds encoded bytes: `input_audio.data`, `audio.data`. */
const media = /image|audio|video|file|document/i

/** A text of a message as the history keeps it. */
export const withoutDataUrls = (text: string): string =>
  text.replaceAll(dataUrls, (url, kind: string) => `data:${kind} (${url.length} characters)`)

const keptText = (key: string, value: string, isMedia: boolean): string => {
  if (value.length <= maximumData) return value
  const url = key === "text" || key === "content" ? null : wholeDataUrl.exec(value)
  if (url !== null) return `data:${url[1] ?? ""} (${value.length} characters)`
  return dataMembers.has(key) || (isMedia && key === "data") ? `(${value.length} characters)` : withoutDataUrls(value)
}

/** A copy without data. `isMedia`: below a part of an image, audio or a file. */
const withoutData = (key: string, value: unknown, isMedia = false): unknown => {
  if (typeof value === "string") return keptText(key, value, isMedia)
  if (Array.isArray(value)) return value.map((one: unknown) => withoutData(key, one, isMedia))
  if (!Predicate.isReadonlyRecord(value)) return value
  const isBelow = isMedia || media.test(key) || (typeof value["type"] === "string" && media.test(value["type"]))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutData(name, one, isBelow)]))
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
  return storableJson(JSON.stringify(withoutData("", message)))
}
