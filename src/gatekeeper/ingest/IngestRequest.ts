import { createHash } from "node:crypto"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { encodeCanonical } from "../../audit/encoding/CanonicalJson.ts"
import type { IngestEvent } from "../../audit/ingest/IngestEvent.ts"
import {
  maximumClientIdLength,
  maximumIngestEventBytes,
  maximumIngestEvents
} from "../../contracts/gatekeeper/IngestSchemas.ts"
import { ClaimableResult } from "../../domain/AuditEvent.ts"
import { isDeeperThan } from "../../platform/http/Depth.ts"
import type { Steps } from "../../platform/os/EventLoop.ts"
import { maximumMetadataDepth } from "../AccessRequest.ts"
import { readTime } from "../trail/EventsQuery.ts"

/** An event that cannot be recorded, with the key that it came under, as far as there is one. */
export interface InvalidIngestEvent {
  readonly clientId: string | null
  readonly problem: string
}

export type JudgedEvent = Either.Either<IngestEvent, InvalidIngestEvent>

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const texts = ["action", "resource", "ghost_id", "shell_id", "reason", "request_id"] as const

const known: ReadonlyArray<string> = ["id", "occurred_at", "result", "metadata", ...texts]

const isClaimable = Schema.is(ClaimableResult)

/** Of a body that is bounded already: all of it is kept. */
const wholeBudget = { depth: maximumMetadataDepth + 2, members: 2 ** 20, size: 2 ** 24, key: 2 ** 20 } as const

const digestOf = (event: Fields): string =>
  createHash("sha256").update(encodeCanonical(event, wholeBudget).json).digest("hex")

const idProblem = (id: unknown): string | undefined => {
  if (typeof id !== "string") return '"id" must be a text: your own key of the event'
  if (id === "") return '"id" must not be empty'
  if ([...id].length > maximumClientIdLength) return `"id" must have at most ${maximumClientIdLength} characters`
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
  const isTime = typeof value === "string" && Option.isSome(readTime(value))
  return isTime ? undefined : '"occurred_at" must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z'
}

const resultProblem = (value: unknown): string | undefined =>
  value === undefined || value === null || isClaimable(value)
    ? undefined
    : `"result" must be one of ${ClaimableResult.literals.join(", ")}`

const metadataProblem = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) return '"metadata" must be an object'
  return isDeeperThan(value, maximumMetadataDepth)
    ? `"metadata" is nested deeper than ${maximumMetadataDepth} levels`
    : undefined
}

/** A field that nobody reads would be lost without a word. */
const strayProblem = (event: Fields): string | undefined => {
  const stray = Object.keys(event).find((name) => !known.includes(name))
  return stray === undefined
    ? undefined
    : `unknown field ${JSON.stringify(stray.slice(0, 50).toWellFormed())}; known: ${known.join(", ")}`
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null)

/** How much of a turn an event takes that is refused before all of it is looked through, in bytes of others. */
const leastWeight = 512

interface Weighed {
  readonly judged: JudgedEvent
  /** Bytes. */
  readonly weight: number
}

const refused = (clientId: string | null, problem: string, weight = leastWeight): Weighed => ({
  judged: Either.left({ clientId, problem }),
  weight
})

const judge = (given: unknown, requestId: string): Weighed => {
  if (!isObject(given)) return refused(null, "the event must be a JSON object")
  const { id } = given
  const unusable = idProblem(id)
  const problems = [
    unusable,
    ...texts.map((name) => textProblem(name, given[name])),
    timeProblem(given["occurred_at"]),
    resultProblem(given["result"]),
    metadataProblem(given["metadata"]),
    strayProblem(given)
  ].filter((problem) => problem !== undefined)
  if (problems.length > 0 || typeof id !== "string") {
    return refused(unusable === undefined ? textOrNull(id) : null, problems.join("; "))
  }
  // Not before its depth is known to be bounded: a deep one would overflow the stack.
  const weight = Buffer.byteLength(JSON.stringify(given))
  if (weight > maximumIngestEventBytes) {
    return refused(id, `the event has ${weight} bytes; at most ${maximumIngestEventBytes} are allowed`, weight)
  }
  const result = given["result"]
  const judged: JudgedEvent = Either.right({
    clientId: id,
    occurredAt: textOrNull(given["occurred_at"]),
    digest: digestOf(given),
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
  return { judged, weight: Math.max(weight, leastWeight) }
}

/** Bytes of events that are judged before others go first: a millisecond of work or so. A batch may take tenths of a second. */
const bytesInTurn = 8 * 1024

/**
 * Reads the body of `POST /audit/events` in steps: each event is judged for itself, in order. What is too long for a row is no
 * problem here: the trail cuts it and marks the row, as it does with every event. Left is a body that is no batch.
 *
 * An event without a `request_id` gets that of the batch.
 */
export function* readingIngestRequest(
  body: unknown,
  requestId: string
): Steps<Either.Either<ReadonlyArray<JudgedEvent>, string>> {
  const events = isObject(body) ? body["events"] : undefined
  if (!isObject(body) || !Array.isArray(events)) {
    return Either.left('the request body must be a JSON object with the array "events"')
  }
  const stray = Object.keys(body).find((name) => name !== "events")
  if (stray !== undefined) {
    return Either.left(`unknown field ${JSON.stringify(stray.slice(0, 50).toWellFormed())}; known: events`)
  }
  if (events.length === 0) return Either.left('"events" is empty')
  if (events.length > maximumIngestEvents) {
    return Either.left(`"events" holds ${events.length} events; at most ${maximumIngestEvents} are taken at once`)
  }
  const all: Array<JudgedEvent> = []
  let inTurn = 0
  for (const event of events) {
    const { judged, weight } = judge(event, requestId)
    all.push(judged)
    inTurn += weight
    if (inTurn < bytesInTurn) continue
    inTurn = 0
    yield
  }
  return Either.right(all)
}
