import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AuditLog } from "../../audit/AuditLog.ts"
import { AuditReader, eventView, readCursor } from "../../audit/AuditReader.ts"
import { AuditLedger } from "../../audit/sources/AuditLedger.ts"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import { maskQuery } from "../../domain/Secrets.ts"
import { searchOf } from "../../platform/http/RequestDecoding.ts"
import { audited, failureAs } from "../GatekeeperAccess.ts"
import { ledgerPage, pipelineView } from "./PipelineView.ts"

/** A request that reads the trail is recorded with its query. */
const facts = ({ url }: { readonly url: string }) => ({ query: maskQuery(searchOf(url)) })

/** `GET /audit/events`. The reader encodes its cursors itself, so the contract cannot check one. */
const readEvents = Effect.flatMap(AuditReader, (reader) =>
  audited(Api.events, {
    event: "trail.read",
    action: "read",
    fallbackResource: "audit/events",
    facts,
    target: ({ urlParams: { ghost_id, request_id, ...query } }) =>
      Either.mapBoth(query.cursor === undefined ? Either.right(undefined) : readCursor(query.cursor), {
        onLeft: ({ message }) => new InvalidRequest({ reason: message }),
        onRight: () => ({
          resource: "audit/events",
          run: () =>
            reader.events({ ...query, ghostId: ghost_id, requestId: request_id }).pipe(
              Effect.catchTag("UnreadableCursor", Effect.die),
              Effect.mapBoth({
                onFailure: failureAs("trail_unreachable"),
                onSuccess: ({ events, next }) => ({ body: { events: events.map(eventView), next } })
              })
            )
        })
      })
  })
)

/** `GET /audit/pipeline`. Answers without the ledger while the database is unreachable: that is when operators look at it. */
const readPipeline = Effect.flatMap(Effect.all([AuditLog, AuditLedger]), ([log, ledger]) =>
  audited(Api.pipeline, {
    event: "pipeline.read",
    action: "read",
    fallbackResource: "audit/pipeline",
    facts,
    target: ({ urlParams: { cursor, limit } }) =>
      Effect.succeed({
        resource: "audit/pipeline",
        run: () =>
          Effect.map(
            Effect.all([log.status, Effect.either(ledgerPage(ledger, { limit, after: cursor }))]),
            ([now, page]) => ({ body: pipelineView(now, page) })
          )
      })
  })
)

export const trailRoutes = Effect.all([readEvents, readPipeline], { discard: true })
