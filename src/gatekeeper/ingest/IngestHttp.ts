import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import { AuditIngest } from "../../audit/ingest/AuditIngest.ts"
import type { Ingested } from "../../audit/ingest/IngestBatch.ts"
import { statusOf } from "../../contracts/ErrorCodes.ts"
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
          : outcome.isReplayed === true
            ? "this one is in the trail beside it, marked ingest:conflict, since an operator replayed it"
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
    const marks = outcome.status === "conflict" ? undefined : outcome.marks
    return { id: event.right.clientId, status, audit_id: auditId ?? undefined, marks, problem: problemOf(outcome) }
  })
}

type IngestResult = ReturnType<typeof resultsOf>[number]

const isFailed = ({ status }: IngestResult): boolean => status !== "recorded" && status !== "duplicate"

const counted = Metric.counter("audit_ingest_events", {
  description: "Events that other programs sent, by what became of them",
  incremental: true
})

/** Counts the results, and logs one line for a batch of which something is not recorded: its sender may read no answer. */
const report = Effect.fnUntraced(function* (ghostId: string, results: ReadonlyArray<IngestResult>) {
  const byStatus = Array.groupBy(results, ({ status }) => status)
  for (const [status, those] of Object.entries(byStatus)) {
    yield* Metric.incrementBy(Metric.tagged(counted, "status", status), those.length)
  }
  const invalid = byStatus["invalid"]
  if (invalid === undefined) return
  const [{ id, problem }] = invalid
  yield* Effect.logWarning(
    `${invalid.length} of ${results.length} events that ${ghostId} sent are not recorded. The first, ` +
      `${id === null ? "without a usable id" : JSON.stringify(id)}: ${problem}`
  )
})

/** A sender that reads the status alone must not take a batch for recorded of which nothing is. */
const answerOf = (
  results: ReadonlyArray<IngestResult>,
  {
    auditId,
    isInvalid,
    requestId
  }: { readonly auditId: string; readonly isInvalid: boolean; readonly requestId: string }
) => {
  const body = { results, failed: results.filter(isFailed).length, audit_id: auditId }
  const headers = { "cache-control": "no-store" }
  if (!isInvalid) return HttpServerResponse.unsafeJson(body, { headers })
  const code = "nothing_recorded"
  const message = `none of the ${results.length} events is recorded; the first: ${results[0]?.problem}`
  const error = { code, message, request_id: requestId, audit_id: auditId }
  return HttpServerResponse.unsafeJson(
    { error, detail: message, ...body },
    { status: statusOf(code), headers: { ...headers, "x-audit-id": auditId } }
  )
}

const question = { action: "write", resource: "audit/events" }

/** The batch with its valid and invalid events, and the question for the decision's row. */
const batchOf = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
  const body = yield* Effect.either(readJson(request, maximumIngestBytes))
  const events = Either.isLeft(body)
    ? Either.left(body.left.message)
    : yield* runInSteps(() => parseIngestRequest(body.right, requestId(request)))
  const all = Either.getOrElse(events, () => [])
  const invalid = all.filter(Either.isLeft).length
  const counts = invalid === 0 ? { events: all.length } : { events: all.length, events_invalid: invalid }
  const claimed = { ...question, facts: counts }
  return {
    access: Either.mapBoth(events, { onLeft: (message) => ({ message, claimed }), onRight: () => claimed }),
    events: all,
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
      Effect.map((outcomes) => resultsOf(batch.events, outcomes)),
      Effect.tap((results) => report(ghostId, results)),
      Effect.map((results) =>
        answerOf(results, { auditId: outcome.auditId, isInvalid: valid.length === 0, requestId: id })
      ),
      withdrawOnFailure(access, asked, outcome),
      Effect.catchTag("TrailUnwritable", ({ message }) =>
        Effect.succeed(refusalResponse({ code: "trail_unreachable", message, auditId: outcome.auditId }, id))
      )
    )
  }, elseAuditUnavailable)
)
