import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AuditLog } from "../../audit/AuditLog.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { historyResource } from "../models/ShellResource.ts"
import { authorizedRead } from "../route/AuthorizedRead.ts"
import { refused } from "../route/RouteRefused.ts"
import { History, type HistoryQuery, type HistoryRow } from "./History.ts"
import { cursorOf, parseHistoryQuery } from "./HistoryQuery.ts"

const rowBody = (row: HistoryRow) => ({
  id: row.id,
  timestamp: DateTime.formatIso(row.timestamp),
  role: row.role,
  content: row.content,
  ghost_id: row.ghostId,
  shell_id: row.shellId,
  requested_model: row.requestedModel,
  tier: row.tier,
  provider: row.provider,
  outcome: row.outcome,
  finish_reason: row.finishReason,
  prompt_tokens: row.promptTokens,
  completion_tokens: row.completionTokens,
  request_id: row.requestId
})

const search = (request: HttpServerRequest.HttpServerRequest): string => {
  const mark = request.url.indexOf("?")
  return mark === -1 ? "" : request.url.slice(mark + 1)
}

/** `GET /v1/history`. */
export const makeHistory = Effect.gen(function* () {
  const gatekeeper = yield* GatekeeperClient
  const trail = yield* AuditLog
  const history = yield* History

  const page = (query: HistoryQuery) =>
    history.read(query).pipe(
      Effect.mapError(({ message }) => refused({ code: "database_unavailable", reason: message })),
      Effect.map(({ hasMore, rows }) => {
        const last = rows.at(-1)
        const next = hasMore && last !== undefined ? cursorOf(last.id) : null
        return HttpServerResponse.unsafeJson(
          { messages: rows.map(rowBody), next },
          { headers: { "cache-control": "no-store" } }
        )
      })
    )

  return (request: HttpServerRequest.HttpServerRequest) => {
    const query = parseHistoryQuery(new URLSearchParams(search(request)))
    // A question that cannot be read is asked about nobody's history, so that who asked it is known and recorded.
    const resource = Either.isLeft(query) ? "history/%" : historyResource(query.right.ghost)
    return authorizedRead(
      gatekeeper,
      trail,
      request,
      Effect.succeed(resource),
      Either.isLeft(query) ? Effect.fail(refused({ code: "invalid_request", ...query.left })) : page(query.right)
    )
  }
})
