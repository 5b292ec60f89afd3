import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AuditIngest } from "../../audit/ingest/AuditIngest.ts"
import type { Ingested } from "../../audit/ingest/IngestBatch.ts"
import { keptConflicts, maximumIngestBytes } from "../../contracts/gatekeeper/IngestSchemas.ts"
import { refusalResponse } from "../../platform/http/ErrorResponse.ts"
import { requestId } from "../../platform/http/RequestContext.ts"
import { readJson } from "../../platform/http/RequestDecoding.ts"
import { runInSteps } from "../../platform/os/EventLoop.ts"
import { AccessControl, withdrawOnFailure } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalOf } from "../Refusals.ts"
import { markAnonymous } from "../tokens/BearerToken.ts"
import { type ParsedIngestEvent, parseIngestRequest } from "./IngestRequest.ts"

const problemOf = (outcome: Ingested): string | undefined => {
  switch (outcome.status) {
    case "conflict": {
      const kept =
        outcome.auditId === null
          ? `this one is not recorded, since ${keptConflicts} others under this id are kept already`
          : "this one is kept as a dead letter"
      return `this id was used for another event, ${outcome.recordedAs}; that one stays, and ${kept}`
    }
    case "dead_lettered":
      return "the table refused the event; it is kept as a dead letter, and the operator is alerted"
    default:
      return undefined
  }
}

/** One result for each event, in the order of the batch; `outcomes` has one for each valid event. */
const resultsOf = (events: ReadonlyArray<ParsedIngestEvent>, outcomes: ReadonlyArray<Ingested>) => {
  const rest = outcomes[Symbol.iterator]()
  return events.map((event) => {
    if (Either.isLeft(event)) return { id: event.left.clientId, status: "invalid", problem: event.left.problem }
    const outcome: Ingested | undefined = rest.next().value
    if (outcome === undefined)
      return { id: event.right.clientId, status: "invalid", problem: "the event has no outcome" }
    const { auditId, status } = outcome
    return { id: event.right.clientId, status, audit_id: auditId ?? undefined, problem: problemOf(outcome) }
  })
}

const question = { action: "write", resource: "audit/events" }

/** The batch with its valid and invalid events, and the question for the decision's row. */
const batchOf = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const body = yield* Effect.either(readJson(request, maximumIngestBytes))
  const events = Either.isLeft(body)
    ? Either.left(body.left.message)
    : yield* runInSteps(() => parseIngestRequest(body.right, requestId(request)))
  const claimed = { ...question, facts: { events: Either.isLeft(events) ? 0 : events.right.length } }
  return {
    access: Either.mapBoth(events, { onLeft: (message) => ({ message, claimed }), onRight: () => claimed }),
    events: Either.getOrElse(events, () => []),
    invalidCode: Either.isLeft(body) ? body.left.code : undefined
  }
})

/**
 * `POST /audit/events`: records the events of a caller that may write there.
 *
 * A raw route. The permission is checked before the body is read, since a batch may be large, and each event is checked for itself.
 */
export const ingestEvents = Effect.map(Effect.all([AccessControl, AuditIngest]), ([access, ingest]) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const authorization = request.headers["authorization"]
    const caller = yield* access.identify({ authorization, requestId: id, access: Either.right(question) })
    if (caller._tag !== "Authenticated") return refusalResponse(refusalOf(caller), id)
    const { ghostId, snapshot } = caller
    const mayWrite = snapshot.index.decide({ ghostId, ...question }).allowed
    const unread = { access: Either.right(question), events: [], invalidCode: undefined }
    const batch = mayWrite ? yield* batchOf(request) : unread
    const asked = { requestId: id, access: batch.access }
    const outcome = yield* access.askFor({ ...asked, ghostId }, snapshot)
    if (outcome._tag !== "Allowed") return refusalResponse(refusalOf(outcome, batch.invalidCode), id)
    const valid = batch.events.flatMap((parsed) =>
      Either.isRight(parsed) ? [{ ...parsed.right, event: markAnonymous(parsed.right.event, ghostId) }] : []
    )
    return yield* ingest.ingest(ghostId, valid).pipe(
      Effect.map((outcomes) =>
        HttpServerResponse.unsafeJson(
          { results: resultsOf(batch.events, outcomes), audit_id: outcome.auditId },
          { headers: { "cache-control": "no-store" } }
        )
      ),
      withdrawOnFailure(access, asked, outcome),
      Effect.catchTag("TrailUnwritable", ({ message }) =>
        Effect.succeed(refusalResponse({ code: "trail_unreachable", message, auditId: outcome.auditId }, id))
      )
    )
  }, elseAuditUnavailable)
)
