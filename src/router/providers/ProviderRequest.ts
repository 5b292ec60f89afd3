import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { appVersion } from "../../platform/config/ProgramLocation.ts"
import type { FieldRule, ProviderSpec } from "../models/Catalog.ts"
import { handledFields } from "../protocol/ChatRequest.ts"
import { jsonMembers } from "../protocol/JsonMembers.ts"
import type { Call } from "./Provider.ts"

/** Fields of OpenAI's chat completions that pass as they are, besides those that this program sets itself. */
const openAiFields: ReadonlySet<string> = new Set([
  "audio",
  "frequency_penalty",
  "function_call",
  "functions",
  "logit_bias",
  "logprobs",
  "metadata",
  "modalities",
  "n",
  "parallel_tool_calls",
  "prediction",
  "presence_penalty",
  "prompt_cache_key",
  "prompt_cache_retention",
  "reasoning_effort",
  "response_format",
  "safety_identifier",
  "seed",
  "service_tier",
  "stop",
  "store",
  "temperature",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "user",
  "verbosity",
  "web_search_options"
])

/** The rule of models.yaml for all fields that neither it nor OpenAI's contract names. */
export const otherFields = "*"

const ruleOf = ({ fields }: ProviderSpec, field: string): FieldRule =>
  fields.get(field) ?? (openAiFields.has(field) ? "pass" : (fields.get(otherFields) ?? "refuse"))

/** The body of a request, or the field that the provider does not accept. */
export type ProviderBody = { readonly text: string } | { readonly refused: string }

/**
 * Writes the body for a provider. Messages, tools and all other fields of the client are the bytes that it sent: numbers keep their
 * digits. Fields that are null count as left out.
 */
export const providerBody = (spec: ProviderSpec, { request, upstreamModel }: Call, stream: boolean): ProviderBody => {
  const { texts } = jsonMembers(request.text)
  const members = [`"model":${JSON.stringify(upstreamModel)}`, `"messages":${texts.get("messages") ?? "[]"}`]
  for (const [field, text] of texts) {
    if (handledFields.has(field) || text === "null") continue
    const rule = ruleOf(spec, field)
    if (rule === "refuse") return { refused: field }
    if (rule === "pass") members.push(`${JSON.stringify(field)}:${text}`)
  }
  if (request.maxTokens !== undefined) members.push(`"${spec.tokenLimit}":${request.maxTokens}`)
  members.push(`"stream":${stream}`)
  // The usage is recorded, whether the client wants it or not.
  if (stream && spec.streamOptions) members.push('"stream_options":{"include_usage":true}')
  return { text: `{${members.join(",")}}` }
}

const queryOf = (query: ProviderSpec["query"]): string =>
  query.size === 0 ? "" : `?${new URLSearchParams([...query]).toString()}`

const keyHeader = ({ apiKeyHeader }: ProviderSpec, key: string): Readonly<Record<string, string>> =>
  apiKeyHeader === undefined ? { authorization: `Bearer ${key}` } : { [apiKeyHeader]: key }

/** Makes the requests to one provider, but for their bodies. */
export const providerRequests = (spec: ProviderSpec, key: Option.Option<Redacted.Redacted>) => {
  const url = `${spec.baseUrl}/chat/completions${queryOf(spec.query)}`
  const headersFor = (accept: string) => ({
    accept,
    // A provider that compresses all the same is understood.
    "accept-encoding": "identity",
    // Some networks refuse requests that name no program.
    "user-agent": `gravitas/${appVersion}`,
    ...Object.fromEntries(spec.headers),
    ...Option.match(key, { onNone: () => ({}), onSome: (given) => keyHeader(spec, Redacted.value(given)) })
  })
  const whole = HttpClientRequest.post(url, { headers: headersFor("application/json") })
  const streamed = HttpClientRequest.post(url, { headers: headersFor("text/event-stream") })
  return (text: string, stream: boolean) =>
    HttpClientRequest.bodyText(stream ? streamed : whole, text, "application/json")
}
