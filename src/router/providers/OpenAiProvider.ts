import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Agent } from "@effect/platform-node/Undici"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { parseJson } from "../../domain/Text.ts"
import type { ProviderSpec } from "../models/Catalog.ts"
import { type ChatPart, isErrorAnswer, makeEnding, makeToolCallIndices, readPart } from "../protocol/ChatPart.ts"
import {
  type Call,
  type FailureKind,
  failureOfConnection,
  failureOfStatus,
  type Provider,
  ProviderFailure,
  retryAfterMillis
} from "./Provider.ts"
import { makeSseParser, type SseEvent, type SseParser } from "./SseParser.ts"

/** Bytes of an answer that is not streamed. */
const maximumAnswerBytes = 16 * 1024 * 1024

const refusalLimits = { maximumBytes: 64 * 1024, timeout: "2 seconds" } as const

const bodyOf = ({ tokenLimit }: ProviderSpec, { request, upstreamModel }: Call, stream: boolean) => ({
  ...request.passed,
  [tokenLimit]: request.maxTokens,
  model: upstreamModel,
  messages: request.messages.map(({ raw }) => raw),
  stream,
  // The usage is recorded, whether the client wants it or not.
  ...(stream ? { stream_options: { include_usage: true } } : {})
})

interface ReadParts {
  readonly parts: ReadonlyArray<ChatPart>
  readonly stop: ProviderFailure | "done" | undefined
}

/** Connects within the provider's `connect` timeout. It follows no redirects, so that no key is sent to another host. */
const makeClient = ({ timeouts }: ProviderSpec) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Agent({ connect: { timeout: Duration.toMillis(timeouts.connect) } })),
      (agent) => Effect.promise(() => agent.destroy())
    ),
    (agent) =>
      NodeHttpClient.makeUndici(agent).pipe(
        // Trace ids are not for providers, and the client's own span would repeat every header.
        HttpClient.withTracerPropagation(false),
        HttpClient.withTracerDisabledWhen(() => true),
        // The call ends with its scope, at the provider too.
        HttpClient.withScope
      )
  )

/** The failures of one provider, in the router's words. */
const failuresOf = (provider: string) => {
  const failure = (fields: { readonly kind: FailureKind; readonly reason: string }, retryAfterMillis?: number) =>
    new ProviderFailure({ provider, ...fields, retryAfterMillis })
  return {
    failure,
    broken: (reason: string) => failure({ kind: "broken", reason }),
    empty: failure({ kind: "empty", reason: "answers without a choice, as some do where they block" })
  }
}

type Failures = ReturnType<typeof failuresOf>
type ProviderResponse = HttpClientResponse.HttpClientResponse

const bytesOf = ({ failure }: Failures, response: ProviderResponse) =>
  Stream.mapError(response.stream, (error) => failure(failureOfConnection(error)))

const readWhole = (failures: Failures, response: ProviderResponse, maximumBytes: number) =>
  Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let bytes = 0
    return Stream.runForEach(bytesOf(failures, response), (piece) => {
      pieces.push(piece)
      bytes += piece.length
      return bytes > maximumBytes
        ? Effect.fail(failures.broken(`answers with more than ${maximumBytes} bytes`))
        : Effect.void
    }).pipe(Effect.map(() => Option.getOrUndefined(parseJson(Buffer.concat(pieces).toString("utf8")))))
  })

const refuse = (failures: Failures, response: ProviderResponse) => {
  const { headers, status } = response
  // Only a 400 needs its body: it may be about our key or about the request.
  const body = status === 400 ? readWhole(failures, response, refusalLimits.maximumBytes) : Effect.void
  return body.pipe(
    Effect.timeout(refusalLimits.timeout),
    Effect.orElseSucceed(() => undefined),
    Effect.flatMap((found) =>
      failures.failure(failureOfStatus(status, found), retryAfterMillis(headers["retry-after"]))
    )
  )
}

const readEvent = ({ broken }: Failures, { data, event }: SseEvent): ChatPart | ProviderFailure | "done" => {
  if (data.trim() === "[DONE]") return "done"
  const value = Option.getOrUndefined(parseJson(data))
  if (event === "error" || isErrorAnswer(value)) return broken("failed in the middle of its answer")
  return readPart(value, "delta") ?? broken("streams events that are not chat completion chunks")
}

/** Reads events up to the one that ends the stream. */
const readEvents = (failures: Failures, events: ReturnType<SseParser["push"]>): ReadParts => {
  if (Either.isLeft(events)) return { parts: [], stop: failures.broken("streams an event that is too long") }
  const parts: Array<ChatPart> = []
  for (const event of events.right) {
    const found = readEvent(failures, event)
    if (found === "done" || found instanceof ProviderFailure) return { parts, stop: found }
    parts.push(found)
  }
  return { parts, stop: undefined }
}

/** The parts of a stream. One read of the socket stays one chunk: a deadline is set for each read, not for each event. */
const partsOf = (failures: Failures, response: ProviderResponse) =>
  Stream.suspend(() => {
    const parser = makeSseParser()
    const ending = makeEnding()
    const indexed = makeToolCallIndices()
    let isDone = false
    const batches = bytesOf(failures, response).pipe(
      Stream.map((bytes) => readEvents(failures, parser.push(bytes))),
      Stream.concat(Stream.sync(() => readEvents(failures, parser.end()))),
      Stream.takeUntil(({ stop }) => stop !== undefined)
    )
    const parts = Stream.flatMap(batches, ({ parts, stop }) => {
      if (stop === "done") isDone = true
      parts.forEach(ending.add)
      const found = Stream.fromChunk(Chunk.unsafeFromArray(parts.map(indexed)))
      return stop instanceof ProviderFailure ? Stream.concat(found, Stream.fail(stop)) : found
    })
    // Some servers forget [DONE]. A stream that ends without it and without a finish reason was cut.
    const end = Stream.suspend(() => {
      if (isDone && !ending.hasBegun()) return Stream.fail(failures.empty)
      return isDone || ending.isComplete()
        ? Stream.empty
        : Stream.fail(failures.broken("hung up in the middle of its answer"))
    })
    return Stream.concat(parts, end)
  })

const isEventStream = ({ headers }: ProviderResponse): boolean => {
  const type = headers["content-type"]
  return type === undefined || type.toLowerCase().startsWith("text/event-stream")
}

/** A provider with OpenAI's chat completions: Ollama, DeepInfra, Gemini's compatible endpoint, vLLM, … */
export const makeOpenAiProvider = (spec: ProviderSpec, key: Option.Option<Redacted.Redacted>) =>
  Effect.map(makeClient(spec), (client): Provider => {
    const failures = failuresOf(spec.name)
    const { broken, empty, failure } = failures

    const open = (call: Call, stream: boolean) =>
      HttpClientRequest.post(`${spec.baseUrl}/chat/completions`).pipe(
        HttpClientRequest.accept(stream ? "text/event-stream" : "application/json"),
        (request) => (Option.isSome(key) ? HttpClientRequest.bearerToken(request, Redacted.value(key.value)) : request),
        HttpClientRequest.bodyUnsafeJson(bodyOf(spec, call, stream)),
        client.execute,
        Effect.mapError((error) => failure(failureOfConnection(error))),
        Effect.filterOrElse(
          ({ status }) => status === 200,
          (response) => refuse(failures, response)
        ),
        Effect.withSpan("Provider.ask", {
          kind: "client",
          attributes: { provider: spec.name, model: call.upstreamModel }
        })
      )

    return {
      complete: (call) =>
        open(call, false).pipe(
          Effect.flatMap((response) => readWhole(failures, response, maximumAnswerBytes)),
          Effect.flatMap((value) => {
            const part = isErrorAnswer(value) ? undefined : readPart(value, "message")
            if (part === undefined) return Effect.fail(broken("sent an answer that is not a chat completion"))
            return part.choices.length === 0 ? Effect.fail(empty) : Effect.succeed(part)
          }),
          Effect.scoped
        ),
      stream: (call) =>
        Stream.unwrapScoped(
          open(call, true).pipe(
            Effect.filterOrFail(isEventStream, () => broken("sent an answer that is not an event stream")),
            Effect.map((response) => partsOf(failures, response))
          )
        )
    }
  })
