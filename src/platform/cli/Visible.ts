/**
 * Text that others chose, fit for a line on a terminal: characters that would move the cursor, colour, hide or turn round what
 * follows (controls, line ends, format characters) are written as `\u{…}`.
 */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`)

const escaped = (one: string): string =>
  Array.from({ length: one.length }, (_, at) => `\\u${one.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")

/** The same JSON, with such characters escaped in its strings: nothing is taken out of it where colours are, nor does it act. */
export const visibleJson = (json: string): string => json.replace(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
