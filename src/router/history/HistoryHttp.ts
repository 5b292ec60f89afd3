import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
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

const page = (query: HistoryQuery) =>
  Effect.gen(function* () {
    const history = yield* History
    const { hasMore, rows } = yield* history
      .read(query)
      .pipe(Effect.mapError(({ message }) => refused({ code: "database_unavailable", reason: message })))
    const last = rows.at(-1)
    const next = hasMore && last !== undefined ? cursorOf(last.id) : null
    return HttpServerResponse.unsafeJson(
      { messages: rows.map(rowBody), next },
      { headers: { "cache-control": "no-store" } }
    )
  })

/** Answers `GET /v1/history`. */
export const answerHistory = (request: HttpServerRequest.HttpServerRequest) => {
  const query = parseHistoryQuery(new URLSearchParams(search(request)))
  return Either.isLeft(query)
    ? // No ghost has this resource: the gatekeeper authenticates and records the caller of a malformed request too.
      authorizedRead(request, "history/%", refused({ code: "invalid_request", ...query.left }))
    : authorizedRead(request, historyResource(query.right.ghost), page(query.right))
}
