import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { defaultAction, maximumLength, maximumMetadataDepth } from "../contracts/gatekeeper/AccessSchemas.ts"
import * as Text from "../domain/Text.ts"
import { isDeeperThan } from "../domain/Text.ts"

/** An action on a resource that a ghost wants to do. */
export interface AccessRequest {
  readonly action: string
  readonly resource: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** The readable parts of a request, for the trail: a refused request is recorded with what it claimed. */
export interface AccessClaim {
  readonly action: string | null
  readonly resource: string | null
  readonly metadata: unknown
}

/** The request has the wrong shape, or a text that must not be decided on. */
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

export const emptyClaim: AccessClaim = { action: null, resource: null, metadata: {} }

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Why a value cannot be decided on and recorded as it is; `field` is its name in the request. */
export const textProblem = (field: keyof typeof maximumLength, value: unknown): string | undefined => {
  if (typeof value !== "string") return value === undefined ? `"${field}" is missing` : `"${field}" must be a text`
  const problem = (field === "resource" ? Text.pathProblem : Text.textProblem)(value, maximumLength[field])
  return problem === undefined ? undefined : `"${field}" ${problem}`
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null)

/**
 * Reads the body of `/validate`: `{action = "inference", resource, metadata?}`; other keys are ignored.
 *
 * A hand parser, since every agent action waits for it: `ValidateRequest` of the contract takes about three times as long (4.3 µs, not 1.6).
 * test/gatekeeper/AccessRequest.test.ts compares the two on generated bodies.
 */
export const parseAccessRequest = (body: unknown): Either.Either<AccessRequest, InvalidAccessRequest> => {
  if (!isPlainObject(body)) {
    return Either.left(
      new InvalidAccessRequest({ problems: ["the request body must be a JSON object"], claimed: emptyClaim })
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
  // `textProblem` found that both are texts.
  return Either.right({ action: String(action), resource: String(resource), metadata })
}
