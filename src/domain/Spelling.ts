import { textProblem } from "./Text.ts"

/*
 * An action or a resource has one spelling. A program that enforces a decision may decode, trim or fold a text before it acts on it;
 * if another spelling of a denied resource were another resource to the policy, that program would do what is denied. What such a
 * program may normalise is refused here. Case and empty segments cannot be refused: a deny covers them (gatekeeper/policy/Policy.ts).
 */

/** Printable ASCII without the blank and `. / % * \ ? # ;`: a part of a class of characters. */
const plain = String.raw`!"$&-)+,\-0-:<->@-[\]-~`

/** Plain characters and slashes, and dots that a plain character follows. */
const common = new RegExp(`^[${plain}/]*(?:\\.+[${plain}][${plain}/]*)*$`)

/** Characters that show nothing: Unicode's format characters, others that it lets a program ignore, and separators of lines. */
const invisible = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/u

/** Each pattern finds a text that some programs read as another text; the problem completes a sentence that begins with the field's name. */
const respellings: ReadonlyArray<readonly [pattern: RegExp, problem: string]> = [
  [/\*/, 'must not hold "*", which means every action or resource in a policy'],
  [/%/, 'must not hold "%": a percent-encoding is another spelling of a text'],
  [/[\\?#;]/, 'must not hold "\\", "?", "#" or ";", at which programs that resolve paths split or cut'],
  [invisible, "must not hold format characters, which are not visible"],
  [/(?:^|\/)\s|\s(?:\/|$)/, "must not have a segment that begins or ends with a blank"],
  [/(?:^|\/)\.\.?(?:\/|$)/, 'must not have the segments "." or ".."'],
  [/\.(?:\/|$)/, 'must not have a segment that ends with "."']
]

const respellingProblem = (text: string): string | undefined =>
  respellings.find(([pattern]) => pattern.test(text))?.[1] ??
  (text.normalize("NFKC") === text ? undefined : "must be in the Unicode form NFKC")

/** Other characters than these are encoded in a name of the router, so that `gemma2:27b` reads the same in a policy as elsewhere. */
const encoded = /[^A-Za-z0-9:@+_.-]|\.(?=\.*$)/gu

const percent = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

/**
 * Encodes a name as one segment of a resource: it has no slash, is never `.` or `..`, and differs for different names. Callers
 * refuse names that are not well-formed Unicode, which have no segment of their own.
 */
export const segmentOf = (name: string): string => (name === "" ? "%" : name.replace(encoded, percent))

/** The resources whose last segment is a name that the router encoded. */
const routerName = /^(?:shells\/(?:l[123]|unknown)|history)\/([^/]*%[^/]*)$/

/** Whether the last segment of the resource is a name as `segmentOf` writes it, so that it has one spelling there. */
const isRouterName = (resource: string): boolean => {
  const segment = routerName.exec(resource)?.[1]
  if (segment === undefined) return false
  try {
    return segment === "%" || segmentOf(decodeURIComponent(segment)) === segment
  } catch {
    return false
  }
}

/**
 * Why `text` is not an action or a resource to ask about: `limit` is in characters. Completes a sentence that begins with the field's
 * name. One test without an allocation passes the common case, because each decision waits for it.
 */
export const pathProblem = (text: string, limit: number): string | undefined => {
  if (text !== "" && text.length <= limit && common.test(text)) return undefined
  return textProblem(text, limit) ?? (isRouterName(text) ? undefined : respellingProblem(text))
}

/**
 * Why `text` is not a name of an agent or badge. A name is one segment of a resource: with a "/" in it, `sessions/a/b` could be the
 * session `b` of `a`, or something below the agent `a/b`.
 */
export const nameProblem = (text: string, limit: number): string | undefined =>
  text.includes("/") ? (textProblem(text, limit) ?? 'must not hold "/"') : pathProblem(text, limit)

const isCommonGhost = /^[!-~](?:[ -~]*[!-~])?$/

/**
 * Why `text` is not a name of a ghost: two names that look and sort alike would be two ghosts. Names that only look alike are marked
 * where a policy or a certificate is loaded (LookAlikes.ts).
 */
export const ghostProblem = (text: string, limit: number): string | undefined => {
  if (text.length <= limit && isCommonGhost.test(text)) return undefined
  const problem = textProblem(text, limit)
  if (problem !== undefined) return problem
  if (invisible.test(text)) return "must not hold format characters, which are not visible"
  if (text.trim() !== text) return "must not begin or end with a blank"
  return text.normalize("NFC") === text ? undefined : "must be in the Unicode form NFC"
}

/** A text without its case: texts that differ in case only are equal. A text in lower case is returned as it is, and costs least. */
export const foldCase = (text: string): string => {
  let hasCapital = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 127) return text.toUpperCase().toLowerCase().replaceAll("ς", "σ")
    if (code >= 65 && code <= 90) hasCapital = true
  }
  return hasCapital ? text.toLowerCase() : text
}
