import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { defaultAction, maximumLength } from "../contracts/gatekeeper/AccessSchemas.ts"
import { isDeeperThan } from "../platform/http/Depth.ts"

/** What a ghost asks to be allowed. */
export interface AccessRequest {
  readonly action: string
  readonly resource: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** As far as they could be read, for the trail: a refused request is recorded with what it claimed. */
export interface Claimed {
  readonly action: string | null
  readonly resource: string | null
  readonly metadata: unknown
}

/** The request cannot be decided: its shape, or text that a decision must not stand on. */
export class InvalidAccessRequest extends Schema.TaggedError<InvalidAccessRequest>()("InvalidAccessRequest", {
  problems: Schema.NonEmptyArray(Schema.String),
  claimed: Schema.Struct({
    action: Schema.NullOr(Schema.String),
    resource: Schema.NullOr(Schema.String),
    metadata: Schema.Unknown
  })
}) {
  override get message(): string {
    return this.problems.join("; ")
  }
}

export const nothingClaimed: Claimed = { action: null, resource: null, metadata: {} }

/** Levels of objects and arrays, `metadata` itself counted. */
export const maximumMetadataDepth = 32

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

/** `.` and `..` mean another resource to whatever resolves them: a pattern that allows `a/*` must not be talked out of `a`. */
const hasDotSegment = (resource: string): boolean =>
  resource.includes(".") && resource.split("/").some((segment) => segment === "." || segment === "..")

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Why a value cannot stand in the trail as it is; `field` is how the caller knows it. */
export const textProblem = (field: keyof typeof maximumLength, value: unknown): string | undefined => {
  if (typeof value !== "string") return value === undefined ? `"${field}" is missing` : `"${field}" must be a text`
  if (value === "") return `"${field}" must not be empty`
  if (value.length > maximumLength[field]) {
    return `"${field}" has ${value.length} characters; at most ${maximumLength[field]} are allowed`
  }
  if (!value.isWellFormed()) return `"${field}" is not well-formed Unicode`
  if (controlCharacter.test(value)) return `"${field}" must not hold control characters`
  if (field === "resource" && hasDotSegment(value)) return '"resource" must not have the segments "." or ".."'
  return undefined
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null)

/** Reads the body of `/validate`: `{action = "inference", resource, metadata?}`; other keys are ignored, as ever. */
export const parseAccessRequest = (body: unknown): Either.Either<AccessRequest, InvalidAccessRequest> => {
  if (!isPlainObject(body)) {
    return Either.left(
      new InvalidAccessRequest({ problems: ["the request body must be a JSON object"], claimed: nothingClaimed })
    )
  }
  const action = body["action"] ?? defaultAction
  const resource = body["resource"]
  const given = body["metadata"] ?? {}
  const problems: Array<string> = []
  for (const problem of [textProblem("action", action), textProblem("resource", resource)]) {
    if (problem !== undefined) problems.push(problem)
  }
  const metadata = isPlainObject(given) ? given : {}
  if (metadata !== given) problems.push('"metadata" must be an object')
  if (isDeeperThan(given, maximumMetadataDepth)) {
    problems.push(`"metadata" is nested deeper than ${maximumMetadataDepth} levels`)
  }
  const [first, ...more] = problems
  if (first !== undefined) {
    const claimed = { action: textOrNull(action), resource: textOrNull(resource), metadata: given }
    return Either.left(new InvalidAccessRequest({ problems: [first, ...more], claimed }))
  }
  // `textProblem` said that both are texts.
  return Either.right({ action: String(action), resource: String(resource), metadata })
}
