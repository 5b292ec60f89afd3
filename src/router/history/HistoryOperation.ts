import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { encodeCursor } from "../../contracts/Query.ts"
import * as Api from "../../contracts/router/RouterApi.ts"
import { historyResource, maximumResourceLength } from "../models/ShellResource.ts"
import { audited } from "../route/RouterAccess.ts"
import { History, type HistoryRow } from "./History.ts"

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

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

const isGhostName = (ghost: string): boolean =>
  ghost !== "" && !controlCharacter.test(ghost) && historyResource(ghost).length <= maximumResourceLength

/** `GET /v1/history`. */
export const historyRoute = Effect.flatMap(History, (history) =>
  audited(Api.history, {
    event: "history.read",
    action: "read",
    // No ghost has this resource: the gatekeeper authenticates and records the caller of a malformed request too.
    fallbackResource: "history/%",
    target: ({ urlParams: { cursor, ghost, limit } }) =>
      isGhostName(ghost)
        ? Effect.succeed({
            resource: historyResource(ghost),
            run: () =>
              Effect.map(history.read({ ghost, limit, before: cursor }), ({ hasMore, rows }) => {
                const last = rows.at(-1)
                const next = hasMore && last !== undefined ? encodeCursor(last.id) : null
                return { body: { messages: rows.map(rowBody), next } }
              })
          })
        : Effect.fail(
            new InvalidRequest({
              reason: '"ghost" must not be empty or too long, and must not hold control characters',
              field: "ghost"
            })
          )
  })
)
