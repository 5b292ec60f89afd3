import { createHash } from "node:crypto"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { encodeCanonical } from "../../audit/encoding/CanonicalJson.ts"
import type { IngestEvent } from "../../audit/ingest/IngestBatch.ts"
import { maximumMetadataDepth } from "../../contracts/gatekeeper/AccessSchemas.ts"
import {
  maximumClientIdLength,
  maximumIngestEventBytes,
  maximumIngestEvents
} from "../../contracts/gatekeeper/IngestSchemas.ts"
import { ClaimableResult } from "../../domain/AuditEvent.ts"
import { canonicalInstant, parseInstant } from "../../domain/Rfc3339.ts"
import { isDeeperThan, isLongerThan } from "../../domain/Text.ts"
import type { SteppedComputation } from "../../platform/os/EventLoop.ts"
import { textOrNull } from "../AccessRequest.ts"

/** An event that cannot be recorded, with its key; null where the key is not usable. */
export interface InvalidIngestEvent {
  readonly clientId: string | null
  readonly problem: string
}

export type ParsedIngestEvent = Either.Either<IngestEvent, InvalidIngestEvent>

type Fields = Readonly<Record<string, unknown>>

const texts = ["action", "resource", "ghost_id", "shell_id", "reason", "request_id"] as const

const known: ReadonlyArray<string> = ["id", "occurred_at", "result", "metadata", ...texts]

const isClaimable = Schema.is(ClaimableResult)

/** Limits of the canonical JSON that keep all of a body, whose size is bounded already. */
const wholeBudget = { depth: maximumMetadataDepth + 2, members: 2 ** 20, size: 2 ** 24, key: 2 ** 20 } as const

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

const isEmptyObject = (value: unknown): boolean => Predicate.isReadonlyRecord(value) && Object.keys(value).length === 0

/** Removes what changes nothing, and spells the time in one way: two spellings of an event are the same event. */
const understood = (event: Fields): Fields =>
  Object.fromEntries(
    Object.entries(event).flatMap(([name, value]) => {
      const saysNothing =
        value === null || (name === "result" && value === "REPORTED") || (name === "metadata" && isEmptyObject(value))
      if (saysNothing) return []
      return [[name, name === "occurred_at" ? (canonicalInstant(String(value)) ?? value) : value] as const]
    })
  )

/** The digest of an event, and the one that earlier versions stored, where it is another: of the event as it was sent. */
const digestsOf = (event: Fields): Pick<IngestEvent, "digest" | "formerDigest"> => {
  const meant = understood(event)
  const { blemishes, json } = encodeCanonical(meant, wholeBudget)
  const digest = sha256(json)
  const isAsSent =
    Object.keys(meant).length === Object.keys(event).length && meant["occurred_at"] === event["occurred_at"]
  if (isAsSent && !blemishes.has("number-as-text")) return { digest }
  // A clone does not have the literals of its numbers.
  return { digest, formerDigest: sha256(encodeCanonical(structuredClone(event), wholeBudget).json) }
}

const idProblem = (id: unknown): string | undefined => {
  if (typeof id !== "string") return '"id" must be a text: your own key of the event'
  if (id === "") return '"id" must not be empty'
  if (isLongerThan(id, maximumClientIdLength)) return `"id" must have at most ${maximumClientIdLength} characters`
  if (!id.isWellFormed() || id.includes("\0")) return '"id" must be well-formed Unicode without NUL'
  return undefined
}

const textProblem = (name: (typeof texts)[number], value: unknown): string | undefined => {
  const isRequired = name === "action" || name === "resource"
  if (typeof value === "string" && (value !== "" || !isRequired)) return undefined
  if (isRequired) return `"${name}" must be a text, and not empty`
  return value === undefined || value === null ? undefined : `"${name}" must be a text`
}

const timeProblem = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined
  const isTime = typeof value === "string" && Option.isSome(parseInstant(value))
  return isTime ? undefined : '"occurred_at" must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z'
}

const resultProblem = (value: unknown): string | undefined =>
  value === undefined || value === null || isClaimable(value)
    ? undefined
    : `"result" must be one of ${ClaimableResult.literals.join(", ")}`

const metadataProblem = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined
  if (!Predicate.isReadonlyRecord(value)) return '"metadata" must be an object'
  return isDeeperThan(value, maximumMetadataDepth)
    ? `"metadata" is nested deeper than ${maximumMetadataDepth} levels`
    : undefined
}

/** An unknown field is refused: it would be lost silently. */
const unknownFieldProblem = (given: Fields, known: ReadonlyArray<string>): string | undefined => {
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  return unknown === undefined
    ? undefined
    : `unknown field ${JSON.stringify(unknown.slice(0, 50).toWellFormed())}; known: ${known.join(", ")}`
}

/** The weight of an event that is refused before all of it is read, in bytes. */
const leastWeight = 512

interface WeightedEvent {
  readonly parsed: ParsedIngestEvent
  /** The work that the event costs, in bytes. */
  readonly weight: number
}

const refused = (clientId: string | null, problem: string, weight = leastWeight): WeightedEvent => ({
  parsed: Either.left({ clientId, problem }),
  weight
})

const parseEvent = (given: unknown, requestId: string): WeightedEvent => {
  if (!Predicate.isReadonlyRecord(given)) return refused(null, "the event must be a JSON object")
  const { id } = given
  const unusable = idProblem(id)
  const problems = [
    unusable,
    ...texts.map((name) => textProblem(name, given[name])),
    timeProblem(given["occurred_at"]),
    resultProblem(given["result"]),
    metadataProblem(given["metadata"]),
    unknownFieldProblem(given, known)
  ].filter((problem) => problem !== undefined)
  if (problems.length > 0 || typeof id !== "string") {
    return refused(unusable === undefined ? textOrNull(id) : null, problems.join("; "))
  }
  // After the check of its depth: a deep value would overflow the stack.
  const weight = Buffer.byteLength(JSON.stringify(given))
  if (weight > maximumIngestEventBytes) {
    return refused(id, `the event has ${weight} bytes; at most ${maximumIngestEventBytes} are allowed`, weight)
  }
  const result = given["result"]
  const parsed: ParsedIngestEvent = Either.right({
    clientId: id,
    occurredAt: textOrNull(given["occurred_at"]),
    ...digestsOf(given),
    event: {
      action: textOrNull(given["action"]),
      resource: textOrNull(given["resource"]),
      ghostId: textOrNull(given["ghost_id"]),
      shellId: textOrNull(given["shell_id"]),
      result: isClaimable(result) ? result : "REPORTED",
      reason: textOrNull(given["reason"]),
      requestId: textOrNull(given["request_id"]) ?? requestId,
      metadata: given["metadata"] ?? {}
    }
  })
  return { parsed, weight: Math.max(weight, leastWeight) }
}

/** Bytes of events that are parsed in one turn of the event loop: about a millisecond. A batch may take tenths of a second. */
const bytesInTurn = 8 * 1024

/**
 * Reads the body of `POST /audit/events` in steps, each event for itself, in order. A text that is too long for a row is valid: the
 * trail cuts it and marks the row. Left is a body that is not a batch.
 *
 * An event without a `request_id` gets that of the batch.
 */
export function* parseIngestRequest(
  body: unknown,
  requestId: string
): SteppedComputation<Either.Either<ReadonlyArray<ParsedIngestEvent>, string>> {
  const events = Predicate.isReadonlyRecord(body) ? body["events"] : undefined
  if (!Predicate.isReadonlyRecord(body) || !Array.isArray(events)) {
    return Either.left('the request body must be a JSON object with the array "events"')
  }
  const unknown = unknownFieldProblem(body, ["events"])
  if (unknown !== undefined) return Either.left(unknown)
  if (events.length === 0) return Either.left('"events" is empty')
  if (events.length > maximumIngestEvents) {
    return Either.left(`"events" holds ${events.length} events; at most ${maximumIngestEvents} are accepted at once`)
  }
  const all: Array<ParsedIngestEvent> = []
  let inTurn = 0
  for (const event of events) {
    const { parsed, weight } = parseEvent(event, requestId)
    all.push(parsed)
    inTurn += weight
    if (inTurn < bytesInTurn) continue
    inTurn = 0
    yield
  }
  return Either.right(all)
}
