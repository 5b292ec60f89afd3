import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { maximumMetadataDepth } from "../../contracts/gatekeeper/AccessSchemas.ts"
import { type EvaluationsSemantic, evaluationsSemantics } from "../../contracts/gatekeeper/AuthZenSchemas.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { exactMember } from "../../domain/JsonText.ts"
import { isDeeperThan, memberOf } from "../../domain/Text.ts"
import { type AccessClaim, type AccessRequest, textOrNull, textProblem } from "../AccessRequest.ts"
import { anonymousGhost } from "../tokens/BearerToken.ts"

type Fields = Readonly<Record<string, unknown>>

/** An evaluation that is not checked yet. The defaults of the request are filled in. */
export type RawEvaluation = unknown

export interface Evaluations {
  /** Whether the answer is one decision, not a list of decisions. */
  readonly single: boolean
  readonly evaluations: ReadonlyArray<RawEvaluation>
  readonly semantic: EvaluationsSemantic
}

/** Rows in the trail that one request may make. */
export const maximumEvaluations = 100

const entityKeys = ["subject", "action", "resource", "context"] as const

const objectOf = (value: unknown): Fields => (Predicate.isReadonlyRecord(value) ? value : {})

/** An absent object. Clients with optional objects, such as those in Go, send null for `context` and `properties`. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null

const entitiesProblem = (fields: Fields): string | undefined => {
  for (const key of entityKeys) {
    if (key === "context" && isAbsent(fields[key])) continue
    if (fields[key] !== undefined && !Predicate.isReadonlyRecord(fields[key])) return `"${key}" must be an object`
  }
  return undefined
}

/** The body as an object. Its depth is checked once: evaluations share the body's defaults, so each check would cost as much as a body. */
const readBody = (body: unknown): Either.Either<Fields, string> => {
  if (!Predicate.isReadonlyRecord(body)) return Either.left("the request body must be a JSON object")
  return isDeeperThan(body, maximumMetadataDepth)
    ? Either.left(`the request is nested deeper than ${maximumMetadataDepth} levels`)
    : Either.right(body)
}

const asOne = (body: Fields): Evaluations => ({ single: true, evaluations: [body], semantic: "execute_all" })

/** Reads the body of `/access/v1/evaluation`; its evaluation is not checked yet. */
export const parseOne = (body: unknown): Either.Either<Evaluations, string> => Either.map(readBody(body), asOne)

/** Reads the body of `/access/v1/evaluations`, and checks what concerns all evaluations. */
export const parseEvaluations = (given: unknown): Either.Either<Evaluations, string> =>
  Either.flatMap(readBody(given), readEvaluations)

const readEvaluations = (body: Fields): Either.Either<Evaluations, string> => {
  const problem = entitiesProblem(body)
  if (problem !== undefined) return Either.left(problem)
  const given = body["evaluations"]
  const options = body["options"] ?? {}
  if (!Predicate.isReadonlyRecord(options)) return Either.left('"options" must be an object')
  const named = options["evaluations_semantic"] ?? "execute_all"
  const semantic = evaluationsSemantics.find((one) => one === named)
  if (semantic === undefined) {
    return Either.left(`"options.evaluations_semantic" must be one of ${evaluationsSemantics.join(", ")}`)
  }
  if (given === undefined) return Either.right(asOne(body))
  if (!Array.isArray(given)) return Either.left('"evaluations" must be a list')
  if (given.length === 0) return Either.right(asOne(body))
  if (given.length > maximumEvaluations) {
    return Either.left(`"evaluations" has ${given.length} entries; at most ${maximumEvaluations} are allowed`)
  }
  const defaults = Object.fromEntries(entityKeys.map((key) => [key, body[key]]))
  const evaluations = given.map((one: unknown) => (Predicate.isReadonlyRecord(one) ? { ...defaults, ...one } : one))
  return Either.right({ single: false, evaluations, semantic })
}

/** The subject of a malformed evaluation, for its row; null where it is not usable. */
export const subjectOf = (evaluation: RawEvaluation): string | null => {
  const id = memberOf(memberOf(evaluation, "subject"), "id")
  return typeof id === "string" && textProblem("ghost_id", id) === undefined && id !== anonymousGhost ? id : null
}

/** The readable parts of a malformed evaluation, for its row. */
export const claimedOf = (evaluation: RawEvaluation, askedBy: string): AccessClaim => {
  const { id, type } = objectOf(memberOf(evaluation, "resource"))
  return {
    action: textOrNull(memberOf(memberOf(evaluation, "action"), "name")),
    resource: typeof type === "string" && typeof id === "string" ? `${type}/${id}` : null,
    facts: { asked_by: askedBy }
  }
}

const missing = (what: string, value: unknown): string =>
  value === undefined ? `"${what}" is missing` : `"${what}" must be a text that is not empty`

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

/** Context, properties and the type of the subject. They are recorded; the decision does not depend on them. */
const factsOf = (
  { context }: Fields,
  entities: { readonly subject: Fields; readonly action: Fields; readonly resource: Fields },
  askedBy: string
): Facts => {
  const properties = Object.fromEntries(
    Object.entries(entities).flatMap(([name, { properties }]) => (isAbsent(properties) ? [] : [[name, properties]]))
  )
  return {
    asked_by: askedBy,
    subject_type: entities.subject["type"],
    ...(isAbsent(context) ? {} : { context }),
    ...(Object.keys(properties).length === 0 ? {} : { properties })
  }
}

/** The segment of a property that the policy names and the resource does not have. */
const absent = "-"

const segmentOf = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return absent
  const text = typeof value === "number" || typeof value === "boolean" ? String(value) : value
  return typeof text === "string" && text !== "" && !text.includes("/") ? text : undefined
}

/**
 * The path by which the policy knows an AuthZEN resource: `<type>/<id>`, so that `shells` and `l1/gemma2` are `shells/l1/gemma2`.
 *
 * Where the policy's `resource_paths` names properties for the type, their values come between. With `todo: [ownerID]` a todo of
 * Morty is `todo/morty@the-citadel.com/<id>`, and a rule about his todos is a rule about a path. A value cannot add segments.
 */
const resourcePath = (
  type: string,
  id: string,
  properties: Readonly<Record<string, unknown>>,
  named: ReadonlyArray<string>
): Either.Either<string, string> => {
  if (type.includes("/")) return Either.left('"resource.type" must not contain "/"')
  const segments: Array<string> = []
  for (const name of named) {
    const segment = segmentOf(Object.hasOwn(properties, name) ? exactMember(properties, name) : undefined)
    if (segment === undefined) {
      return Either.left(`"resource.properties.${name}" must be a text without "/" that is not empty, or a number`)
    }
    segments.push(segment)
  }
  return Either.right([type, ...segments, id].join("/"))
}

/** Reads one evaluation. `askedBy` is the policy enforcement point; `resourcePaths` are those of the policy. */
export const parseEvaluation = (
  evaluation: RawEvaluation,
  askedBy: string,
  resourcePaths: ReadonlyMap<string, ReadonlyArray<string>>
): Either.Either<{ readonly ghostId: string; readonly access: AccessRequest }, string> => {
  if (!Predicate.isReadonlyRecord(evaluation)) return Either.left("an evaluation must be a JSON object")
  const problem = entitiesProblem(evaluation)
  if (problem !== undefined) return Either.left(problem)
  const lacking = (["subject", "action", "resource"] as const).find((name) => evaluation[name] === undefined)
  if (lacking !== undefined) return Either.left(`"${lacking}" is missing`)
  const { context } = evaluation
  const subject = objectOf(evaluation["subject"])
  const action = objectOf(evaluation["action"])
  const resource = objectOf(evaluation["resource"])
  const { id: ghostId, type: ghostType } = subject
  const { id, type } = resource
  const { name } = action
  if (!isText(ghostType)) return Either.left(missing("subject.type", ghostType))
  if (!isText(ghostId)) return Either.left(missing("subject.id", ghostId))
  if (!isText(name)) return Either.left(missing("action.name", name))
  if (!isText(type)) return Either.left(missing("resource.type", type))
  if (!isText(id)) return Either.left(missing("resource.id", id))
  for (const [name, { properties }] of Object.entries({ subject, action, resource })) {
    if (!isAbsent(properties) && !Predicate.isReadonlyRecord(properties))
      return Either.left(`"${name}.properties" must be an object`)
  }
  if (ghostId === anonymousGhost)
    return Either.left(`"subject.id" must not be ${anonymousGhost}, which no token can name`)
  const properties = objectOf(resource["properties"])
  return Either.flatMap(resourcePath(type, id, properties, resourcePaths.get(type) ?? []), (path) => {
    const texts = [textProblem("ghost_id", ghostId), textProblem("action", name), textProblem("resource", path)]
    const wrong = texts.find((one) => one !== undefined)
    if (wrong !== undefined) return Either.left(wrong)
    const facts = factsOf({ context }, { subject, action, resource }, askedBy)
    return Either.right({ ghostId, access: { action: name, resource: path, facts } })
  })
}
