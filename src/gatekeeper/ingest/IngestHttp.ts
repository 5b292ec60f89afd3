import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AuditIngest } from "../../audit/ingest/AuditIngest.ts"
import type { Ingested } from "../../audit/ingest/IngestPlan.ts"
import { keptConflicts, maximumIngestBytes } from "../../contracts/gatekeeper/IngestSchemas.ts"
import { readJson } from "../../platform/http/RequestBody.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import { inTurns } from "../../platform/os/EventLoop.ts"
import { type AccessControl, orWithdrawn } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalResponse, trailUnreachable } from "../Refusals.ts"
import { markAnonymous } from "../tokens/Anonymous.ts"
import { type JudgedEvent, readingIngestRequest } from "./IngestRequest.ts"

const problemOf = (outcome: Ingested): string | undefined => {
  switch (outcome.status) {
    case "conflict": {
      const kept =
        outcome.auditId === null
          ? `this one is not recorded, for ${keptConflicts} others under this id are kept already`
          : "this one is kept as a dead letter"
      return `this id was used for another event, ${outcome.recordedAs}; that one stands, and ${kept}`
    }
    case "dead_lettered":
      return "the table refused the event; it is kept as a dead letter, and who runs the trail is told"
    default:
      return undefined
  }
}

/** One result for each event, in the order in which they came; `outcomes` has one for each that is valid. */
const resultsOf = (events: ReadonlyArray<JudgedEvent>, outcomes: ReadonlyArray<Ingested>) => {
  const rest = outcomes[Symbol.iterator]()
  return events.map((event) => {
    if (Either.isLeft(event)) return { id: event.left.clientId, status: "invalid", problem: event.left.problem }
    const outcome: Ingested | undefined = rest.next().value
    if (outcome === undefined) return { id: event.right.clientId, status: "invalid", problem: "it was not judged" }
    const { auditId, status } = outcome
    return { id: event.right.clientId, status, audit_id: auditId ?? undefined, problem: problemOf(outcome) }
  })
}

const question = { action: "write", resource: "audit/events", metadata: {} }

/** The batch as far as it can be read, with what the decision's row says of it. */
const batchOf = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const body = yield* Effect.either(readJson(request, maximumIngestBytes))
  const isTooLarge = Either.isLeft(body) && body.left._tag === "RequestBodyTooLarge"
  const events = Either.isLeft(body)
    ? Either.left(body.left.message)
    : yield* inTurns(() => readingIngestRequest(body.right, requestId(request)))
  const claimed = { ...question, metadata: { events: Either.isLeft(events) ? 0 : events.right.length } }
  return {
    access: Either.mapBoth(events, { onLeft: (message) => ({ message, claimed }), onRight: () => claimed }),
    events: Either.getOrElse(events, () => []),
    isTooLarge
  }
})

/** `POST /audit/events`: asks whether the caller may write there, and records what it brought in its name. */
export const ingestEvents = (access: typeof AccessControl.Service, ingest: typeof AuditIngest.Service) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const authorization = request.headers["authorization"]
    const caller = yield* access.identify({ authorization, requestId: id, access: Either.right(question) })
    if (caller._tag !== "Known") return refusalResponse(caller, id)
    const { ghostId, inForce } = caller
    // Before the body: only who may write here may send so much.
    const isLetIn = inForce.index.decide({ ghostId, ...question }).allowed
    const batch = isLetIn ? yield* batchOf(request) : { access: Either.right(question), events: [], isTooLarge: false }
    const asked = { requestId: id, access: batch.access }
    const outcome = yield* access.askFor({ ...asked, ghostId }, inForce)
    if (outcome._tag !== "Allowed") return refusalResponse(outcome, id, batch.isTooLarge)
    const valid = batch.events.flatMap((judged) =>
      Either.isRight(judged) ? [{ ...judged.right, event: markAnonymous(judged.right.event, ghostId) }] : []
    )
    return yield* ingest.ingest(ghostId, valid).pipe(
      Effect.map((outcomes) =>
        HttpServerResponse.unsafeJson(
          { results: resultsOf(batch.events, outcomes), audit_id: outcome.auditId },
          { headers: { "cache-control": "no-store" } }
        )
      ),
      orWithdrawn(access, asked, outcome),
      Effect.catchTag("TrailUnwritable", ({ message }) => Effect.succeed(trailUnreachable(outcome, message, id)))
    )
  }, elseAuditUnavailable)
