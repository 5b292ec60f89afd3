import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AuditReader, EventPage, RecordedEvent } from "../../audit/AuditReader.ts"
import type { AuditStatus } from "../../audit/AuditStatus.ts"
import type { AuditLedger } from "../../audit/sources/AuditLedger.ts"
import type { TrailUnreachable } from "../../audit/store/TrailUnreachable.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import { type AccessControl, type Asked, orWithdrawn } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalResponse, trailUnreachable } from "../Refusals.ts"
import { parseEventsQuery } from "./EventsQuery.ts"
import { ledgerPage, parsePipelineQuery, pipelineView } from "./PipelineView.ts"

const eventRow = (event: RecordedEvent) => ({
  id: event.id,
  timestamp: DateTime.formatIso(event.timestamp),
  source: event.source,
  seq: event.seq,
  ghost_id: event.ghostId,
  shell_id: event.shellId,
  action: event.action,
  resource: event.resource,
  result: event.result,
  reason: event.reason,
  request_id: event.requestId,
  metadata: event.metadata,
  marks: event.marks,
  leaf_hash: event.leafHash
})

const pageResponse = (page: EventPage) =>
  HttpServerResponse.unsafeJson(
    { events: page.events.map(eventRow), next: page.next },
    { headers: { "cache-control": "no-store" } }
  )

const search = (request: HttpServerRequest.HttpServerRequest): string => {
  const mark = request.url.indexOf("?")
  return mark === -1 ? "" : request.url.slice(mark + 1)
}

/** Asks whether the caller may read `resource`, and reads `query` for them. An answer that cannot be given is withdrawn. */
const reading = <Q>(
  access: typeof AccessControl.Service,
  resource: string,
  parse: (params: URLSearchParams) => Either.Either<Q, string>,
  answer: (query: Q) => Effect.Effect<HttpServerResponse.HttpServerResponse, TrailUnreachable>
) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const given = search(request)
    const query = parse(new URLSearchParams(given))
    const claimed = { action: "read", resource, metadata: { query: given } }
    const asked: Asked = {
      authorization: request.headers["authorization"],
      requestId: id,
      access: Either.isLeft(query) ? Either.left({ message: query.left, claimed }) : Either.right(claimed)
    }
    const outcome = yield* access.ask(asked)
    if (outcome._tag !== "Allowed") return refusalResponse(outcome, id)
    // An invalid query never was `Allowed`.
    return yield* answer(Either.getOrThrow(query)).pipe(
      orWithdrawn(access, asked, outcome),
      Effect.catchTag("TrailUnreachable", ({ message }) => Effect.succeed(trailUnreachable(outcome, message, id)))
    )
  }, elseAuditUnavailable)

/** `GET /audit/events`. */
export const readEvents = (access: typeof AccessControl.Service, reader: typeof AuditReader.Service) =>
  reading(access, "audit/events", parseEventsQuery, (query) =>
    reader.events(query).pipe(Effect.catchTag("UnreadableCursor", Effect.die), Effect.map(pageResponse))
  )

/** `GET /audit/pipeline`: answers without its ledger while the database is away, since then it is looked at most. */
export const readPipeline = (
  access: typeof AccessControl.Service,
  status: Effect.Effect<AuditStatus>,
  ledger: typeof AuditLedger.Service
) =>
  reading(access, "audit/pipeline", parsePipelineQuery, (query) =>
    Effect.map(Effect.all([status, Effect.either(ledgerPage(ledger, query))]), ([now, page]) =>
      HttpServerResponse.unsafeJson(pipelineView(now, page), { headers: { "cache-control": "no-store" } })
    )
  )
