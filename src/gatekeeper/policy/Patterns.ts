import { foldCase } from "../../domain/Spelling.ts"

/** The part of a permission that a question is compared with. */
interface RulePattern {
  readonly action: string
  readonly resource: string
  readonly effect: "allow" | "deny"
}

/** The segment of a pattern that is the asker's own name. */
export const ownSegment = "${ghost}"

/**
 * The segment that `${ghost}` equals for this ghost; undefined where it equals none. The name is compared with a segment, and never put
 * into a pattern: a ghost named `*` or `a/b` gets nothing by it.
 */
export const segmentOfGhost = (ghostId: string): string | undefined =>
  ghostId.includes("*") || ghostId.includes("/") ? undefined : ghostId

const isOwn = (pattern: string): boolean => pattern.includes(ownSegment)

/** As `matchesResource`, segment by segment. */
const matchesSegments = (pattern: string, resource: string, ghostId: string): boolean => {
  const own = segmentOfGhost(ghostId)
  const isAbove = pattern.endsWith("/*")
  const parts = (isAbove ? pattern.slice(0, -2) : pattern).split("/")
  const segments = resource.split("/")
  const isFitting = parts.every((part, index) => segments[index] === (part === ownSegment ? own : part))
  const rest = segments.slice(parts.length)
  return segments.length >= parts.length && isFitting && (isAbove ? rest.join("/") !== "" : rest.length === 0)
}

/**
 * `*` matches everything; `a/*` what lies below `a`, by whole segments, so neither `a` nor `ab`; any other pattern itself. The segment
 * `${ghost}` of a pattern matches the asker's name.
 */
export const matchesResource = (pattern: string, resource: string, ghostId: string): boolean => {
  if (pattern === "*") return true
  if (isOwn(pattern)) return matchesSegments(pattern, resource, ghostId)
  if (!pattern.endsWith("/*")) return pattern === resource
  const prefix = pattern.length - 1
  return resource.length > prefix && resource.startsWith(pattern.slice(0, prefix))
}

/** The path without its empty segments; undefined where it has none. Programs that resolve paths read `a//b`, `/a/b` and `a/b/` as `a/b`. */
export const plainPath = (path: string): string | undefined =>
  path.includes("//") || path.startsWith("/") || path.endsWith("/")
    ? path
        .split("/")
        .filter((segment) => segment !== "")
        .join("/")
    : undefined

const spellings = (path: string): ReadonlyArray<string> => {
  const plain = plainPath(path)
  return plain === undefined ? [path] : [path, plain]
}

/** The spellings of a pattern. A `*` that is not a wildcard in the pattern does not become one. */
export const patternSpellings = (pattern: string): ReadonlyArray<string> => {
  if (!pattern.endsWith("/*")) return spellings(pattern).filter((one) => one === pattern || !/^\*$|\/\*$/.test(one))
  const plain = plainPath(pattern.slice(0, -1))
  return plain === undefined || `${plain}/*` === pattern ? [pattern] : [pattern, plain === "" ? "*" : `${plain}/*`]
}

/** `*` matches every action. A deny also matches an action that differs in case only. */
export const matchesAction = ({ action: pattern, effect }: RulePattern, action: string): boolean =>
  pattern === "*" || pattern === action || (effect === "deny" && foldCase(pattern) === foldCase(action))

/** As `matchesResource`; a deny also matches where the two differ only in case or in empty segments, so that these cannot evade it. */
export const appliesTo = (
  { effect, resource: pattern }: RulePattern,
  { ghostId, resource }: { readonly ghostId: string; readonly resource: string }
): boolean => {
  if (effect === "allow") return matchesResource(pattern, resource, ghostId)
  const asked = spellings(foldCase(resource))
  const ghost = foldCase(ghostId)
  return patternSpellings(foldCase(pattern)).some((rule) => asked.some((one) => matchesResource(rule, one, ghost)))
}
