import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { meaningOf } from "../platform/http/ErrorCodes.ts"
import { HealthGroup } from "../platform/http/Health.ts"
import { tiers } from "./models/Catalog.ts"
import { alsoAsEvents, ChatCompletion, ChatRequestBody } from "./protocol/ChatSchemas.ts"

/** The router's statuses, in one place: what a code means to a client. */
export const statusOf = {
  invalid_request: 400,
  provider_rejected: 400,
  unauthenticated: 401,
  access_denied: 403,
  not_certified: 403,
  session_refused: 403,
  model_not_found: 404,
  body_too_large: 413,
  rate_limited: 429,
  internal_error: 500,
  provider_failed: 502,
  provider_misconfigured: 502,
  audit_unavailable: 503,
  database_unavailable: 503,
  peer_unavailable: 503,
  provider_unavailable: 503,
  provider_timeout: 504
} as const

export type RefusalCode = keyof typeof statusOf

/** What the `openai` clients call the kinds of errors. */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "invalid_request_error",
  405: "invalid_request_error",
  413: "invalid_request_error",
  429: "rate_limit_error"
}

const typeOf = (status: number): string => typeOfStatus[status] ?? "server_error"

export const errorTypeOf = (code: RefusalCode): string => typeOf(statusOf[code])

/** What those clients look for in the errors too that the platform answers: unknown paths, wrong methods, defects, the end. */
export const openAiFields = (status: number, url: string): Readonly<Record<string, unknown>> =>
  url.startsWith("/v1/") ? { type: typeOf(status), param: null } : {}

/** OpenAI's error, with what every answer of Gravitas has besides; `detail` is what older clients read. */
const failure = (status: number, ...codes: ReadonlyArray<RefusalCode>) =>
  Schema.Struct({
    error: Schema.Struct({
      message: Schema.String,
      type: Schema.String,
      param: Schema.NullOr(Schema.String),
      code: Schema.Literal(...codes),
      request_id: Schema.String,
      audit_id: Schema.optional(Schema.String)
    }),
    detail: Schema.String
  }).annotations({
    ...HttpApiSchema.annotations({ status }),
    identifier: `Error_${codes.join("_or_")}`,
    description: meaningOf(...codes)
  })

const failures = {
  invalidChat: failure(400, "invalid_request", "provider_rejected"),
  invalid: failure(400, "invalid_request"),
  unauthenticated: failure(401, "unauthenticated"),
  chatDenied: failure(403, "access_denied", "not_certified", "session_refused"),
  denied: failure(403, "access_denied"),
  modelNotFound: failure(404, "model_not_found"),
  tooLarge: failure(413, "body_too_large"),
  rateLimited: failure(429, "rate_limited"),
  failed: failure(500, "internal_error"),
  providerFailed: failure(502, "provider_failed", "provider_misconfigured"),
  chatUnavailable: failure(503, "audit_unavailable", "peer_unavailable", "provider_unavailable"),
  readUnavailable: failure(503, "audit_unavailable", "peer_unavailable", "database_unavailable"),
  providerTimeout: failure(504, "provider_timeout")
}

const ModelRow = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("model"),
  created: Schema.Number,
  owned_by: Schema.String,
  kind: Schema.Literal("shell", "ghost"),
  tier: Schema.Literal(...tiers),
  available: Schema.Boolean,
  trouble: Schema.NullOr(Schema.String)
})

const ModelList = Schema.Struct({ object: Schema.Literal("list"), data: Schema.Array(ModelRow) }).annotations({
  description: "All of them."
})

const HistoryRow = Schema.Struct({
  id: Schema.String,
  timestamp: Schema.String,
  role: Schema.String,
  content: Schema.NullOr(Schema.String),
  ghost_id: Schema.String,
  shell_id: Schema.NullOr(Schema.String),
  requested_model: Schema.NullOr(Schema.String),
  tier: Schema.NullOr(Schema.String),
  provider: Schema.NullOr(Schema.String),
  outcome: Schema.NullOr(Schema.String),
  finish_reason: Schema.NullOr(Schema.String),
  prompt_tokens: Schema.NullOr(Schema.Number),
  completion_tokens: Schema.NullOr(Schema.Number),
  request_id: Schema.NullOr(Schema.String)
})

const HistoryPage = Schema.Struct({
  messages: Schema.Array(HistoryRow),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of messages, newest first." })

const parameter = (description: string) =>
  Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String)).annotations({ description }))

const HistoryParams = Schema.Struct({
  ghost: parameter("whose messages; needed"),
  limit: parameter("1 to 1000; 100 where left out. A page of long messages has fewer"),
  cursor: parameter("`next` of the page before")
})

class ChatGroup extends HttpApiGroup.make("chat")
  .add(
    HttpApiEndpoint.post("completions", "/v1/chat/completions")
      .setPayload(ChatRequestBody)
      .addSuccess(ChatCompletion)
      .addError(failures.invalidChat)
      .addError(failures.unauthenticated)
      .addError(failures.chatDenied)
      .addError(failures.modelNotFound)
      .addError(failures.tooLarge)
      .addError(failures.rateLimited)
      .addError(failures.failed)
      .addError(failures.providerFailed)
      .addError(failures.chatUnavailable)
      .addError(failures.providerTimeout)
      .annotate(OpenApi.Summary, "An answer of a model")
      .annotate(OpenApi.Transform, alsoAsEvents)
      .annotate(
        OpenApi.Description,
        "OpenAI's chat completions. Each shell that may answer is authorised (`execute` on `shells/<tier>/<name>`); the first that " +
          'answers is named in `model`. A failure after the first byte of a stream is an event `{"error": …}` without `[DONE]`.'
      )
  )
  .annotate(OpenApi.Description, "Answers of models.") {}

class CatalogGroup extends HttpApiGroup.make("catalog")
  .add(
    HttpApiEndpoint.get("models", "/v1/models")
      .addSuccess(ModelList)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.failed)
      .addError(failures.readUnavailable)
      .annotate(OpenApi.Summary, "Shells and ghosts")
      .annotate(OpenApi.Description, "All shells and ghosts with their tiers. Needs `read` on `models`; recorded.")
  )
  .annotate(OpenApi.Description, "Which models there are.") {}

class HistoryGroup extends HttpApiGroup.make("history")
  .add(
    HttpApiEndpoint.get("history", "/v1/history")
      .setUrlParams(HistoryParams)
      .addSuccess(HistoryPage)
      .addError(failures.invalid)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.failed)
      .addError(failures.readUnavailable)
      .annotate(OpenApi.Summary, "A ghost's messages")
      .annotate(
        OpenApi.Description,
        "A ghost's messages, newest first; their content only where ROUTER_STORE_CONTENT is on. Needs `read` on `history/<ghost>`."
      )
  )
  .annotate(OpenApi.Description, "What was asked and answered.") {}

export class RouterApi extends HttpApi.make("router")
  .add(ChatGroup)
  .add(CatalogGroup)
  .add(HistoryGroup)
  .add(HealthGroup)
  .annotate(OpenApi.Description, "Which model answers, and what was said? Speaks as OpenAI does.") {}
