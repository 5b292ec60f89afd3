/** Characters of a resource: the width of the trail's column, so that what was decided is what is recorded. */
const maximumResource = 255

/** Characters of an agent's, ghost's or session's name, and of a badge's: what the tables take. */
const maximumName = 200
const maximumBadge = 100

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

const isDotted = (segment: string): boolean => segment === "." || segment === ".."

const textProblem = (field: string, value: unknown, limit: number): string | undefined => {
  if (typeof value !== "string") return value === undefined ? `"${field}" is missing` : `"${field}" must be a text`
  if (value === "") return `"${field}" must not be empty`
  if (value.length > limit) return `"${field}" has ${value.length} characters; at most ${limit} are allowed`
  if (!value.isWellFormed()) return `"${field}" is not well-formed Unicode`
  if (controlCharacter.test(value)) return `"${field}" must not hold control characters`
  return undefined
}

/**
 * Why `value` is no name of an agent, ghost or badge; undefined when it is one. A name is one segment of a resource: with a "/" in
 * it, `sessions/a/b` could be the session `b` of `a`, or something below the agent `a/b`.
 */
export const nameProblem = (field: string, value: unknown, limit = maximumName): string | undefined => {
  const problem = textProblem(field, value, limit)
  if (problem !== undefined) return problem
  const name = String(value)
  if (name.includes("/")) return `"${field}" must not hold "/"`
  return isDotted(name) ? `"${field}" must not be "." or ".."` : undefined
}

export const badgeProblem = (field: string, value: unknown): string | undefined =>
  nameProblem(field, value, maximumBadge)

/** Why `value` is no session's name. It may have segments of its own: it is the last part of its resource. */
export const sessionIdProblem = (field: string, value: unknown): string | undefined => {
  const problem = textProblem(field, value, maximumName)
  if (problem !== undefined) return problem
  return String(value).split("/").some(isDotted) ? `"${field}" must not have the segments "." or ".."` : undefined
}

/** Why names that are well alone are too long together. */
export const resourceProblem = (resource: string): string | undefined =>
  resource.length > maximumResource
    ? `the names are too long together: the resource ${JSON.stringify(resource.slice(0, 40))}… has ${resource.length} ` +
      `characters; at most ${maximumResource} are allowed`
    : undefined

export const certificateResource = (agent: string): string => `certificates/${agent}`
export const sessionResource = (agent: string, sessionId: string): string => `sessions/${agent}/${sessionId}`
export const badgeResource = (ghost: string, badge: string): string => `badges/${ghost}/${badge}`
