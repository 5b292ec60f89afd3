import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { describing } from "../Endpoint.ts"
import { Cursor, Limit, Parameter, rowNumber } from "../Fields.ts"
import { HealthGroup } from "../Health.ts"
import { alsoAsEvents, ChatCompletion, ChatRequestBody, tiers } from "./ChatSchemas.ts"
import { openAiError } from "./RouterErrors.ts"

const readErrors = Schema.Union(
  openAiError("unauthenticated"),
  openAiError("access_denied"),
  openAiError("too_many_failures"),
  openAiError("internal_error"),
  openAiError("audit_unavailable", "peer_unavailable", "database_unavailable")
)

const chatErrors = Schema.Union(
  openAiError("invalid_request", "provider_rejected", "content_filter", "context_length_exceeded"),
  openAiError("unauthenticated"),
  openAiError("access_denied", "not_certified", "session_refused"),
  openAiError("model_not_found"),
  openAiError("body_too_large"),
  openAiError("rate_limited", "too_many_failures"),
  openAiError("internal_error"),
  openAiError("provider_failed", "provider_misconfigured"),
  openAiError("audit_unavailable", "peer_unavailable", "provider_unavailable"),
  openAiError("provider_timeout")
)

const Model = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("model"),
  created: Schema.Number,
  owned_by: Schema.String,
  kind: Schema.Literal("shell", "ghost"),
  tier: Schema.Literal(...tiers),
  available: Schema.Boolean,
  trouble: Schema.NullOr(Schema.String)
}).annotations({ description: "It, and whether it can be asked now." })

const ModelList = Schema.Struct({ object: Schema.Literal("list"), data: Schema.Array(Model) }).annotations({
  description: "All of them."
})

export const HistoryRow = Schema.Struct({
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
  usage_estimated: Schema.NullOr(Schema.Boolean),
  message: Schema.NullOr(Schema.Unknown),
  request_id: Schema.NullOr(Schema.String)
})

const HistoryPage = Schema.Struct({
  messages: Schema.Array(HistoryRow),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of messages, newest first." })

const HistoryParams = Schema.Struct({
  ghost: Parameter("whose messages; needed"),
  limit: Limit(100, "1 to 1000; 100 where left out. A page of long messages has fewer"),
  cursor: Cursor(rowNumber)
})

export const completions = HttpApiEndpoint.post("completions", "/v1/chat/completions")
  .setPayload(ChatRequestBody)
  .addSuccess(ChatCompletion)
  .addError(chatErrors)
  .annotate(OpenApi.Transform, alsoAsEvents)
  .annotateContext(
    describing(
      "An answer of a model",
      "OpenAI's chat completions. Each shell that may answer is authorised (`execute` on `shells/<tier>/<name>`); the first that " +
        'answers is named in `model`. A failure after the first byte of a stream is an event `{"error": …}` without `[DONE]`.'
    )
  )

class ChatGroup extends HttpApiGroup.make("chat")
  .add(completions)
  .annotate(OpenApi.Description, "Answers of models.") {}

export const models = HttpApiEndpoint.get("models", "/v1/models")
  .addSuccess(ModelList)
  .addError(readErrors)
  .annotateContext(
    describing("Shells and ghosts", "All shells and ghosts with their tiers. Needs `read` on `models`; recorded.")
  )

export const model = HttpApiEndpoint.get("model", "/v1/models/:id")
  .setPath(Schema.Struct({ id: Schema.String.annotations({ description: "a shell's or a ghost's name" }) }))
  .addSuccess(Model)
  .addError(openAiError("model_not_found"))
  .addError(readErrors)
  .annotateContext(describing("One shell or ghost", "One of them. Needs `read` on `models`; recorded."))

class CatalogGroup extends HttpApiGroup.make("catalog")
  .add(models)
  .add(model)
  .annotate(OpenApi.Description, "Which models there are.") {}

export const history = HttpApiEndpoint.get("history", "/v1/history")
  .setUrlParams(HistoryParams)
  .addSuccess(HistoryPage)
  .addError(openAiError("invalid_request"))
  .addError(readErrors)
  .annotateContext(
    describing(
      "A ghost's messages",
      "A ghost's messages, newest first; their content only where ROUTER_STORE_CONTENT is on. Needs `read` on `history/<ghost>`."
    )
  )

class HistoryGroup extends HttpApiGroup.make("history")
  .add(history)
  .annotate(OpenApi.Description, "What was asked and answered.") {}

export class RouterApi extends HttpApi.make("router")
  .add(ChatGroup)
  .add(CatalogGroup)
  .add(HistoryGroup)
  .add(HealthGroup)
  .annotate(OpenApi.Description, "Which model answers, and what was said? Speaks as OpenAI does.") {}
