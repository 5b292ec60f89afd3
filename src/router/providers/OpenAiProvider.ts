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
import type { ProviderSpec } from "../models/Catalog.ts"
import { type ChatPart, isErrorAnswer, makeEnding, readPart } from "../protocol/ChatPart.ts"
import { makeToolCallIndices } from "../protocol/ToolCallIndices.ts"
import type { Call, Provider } from "./Provider.ts"
import { type FailureKind, ProviderFailure } from "./Provider.ts"
import { makeSseParser, type SseEvent, type SseParser } from "./SseParser.ts"
import { failureOfConnection, failureOfStatus, retryAfterMillis } from "./UpstreamFailures.ts"

/** Bytes of an answer that is not streamed. */
const maximumAnswerBytes = 16 * 1024 * 1024

/** What is read of a refusal: bytes, and how long they are waited for. */
const refusal = { maximumBytes: 64 * 1024, patience: "2 seconds" } as const

const bodyOf = ({ tokenLimit }: ProviderSpec, { request, upstreamModel }: Call, stream: boolean) => ({
  ...request.passed,
  [tokenLimit]: request.maxTokens,
  model: upstreamModel,
  messages: request.messages.map(({ raw }) => raw),
  stream,
  // Asked for in any case: it is recorded, whether the client wants to see it or not.
  ...(stream ? { stream_options: { include_usage: true } } : {})
})

interface ReadParts {
  readonly parts: ReadonlyArray<ChatPart>
  readonly stop: ProviderFailure | "done" | undefined
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The socket is not waited for longer than the provider's `connect`; redirects are not followed, so no key follows one. */
const makeClient = ({ timeouts }: ProviderSpec) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Agent({ connect: { timeout: Duration.toMillis(timeouts.connect) } })),
      (agent) => Effect.promise(() => agent.destroy())
    ),
    (agent) =>
      NodeHttpClient.makeUndici(agent).pipe(
        // Ids of our traces are nobody else's business, and its own span would repeat every header.
        HttpClient.withTracerPropagation(false),
        HttpClient.withTracerDisabledWhen(() => true),
        // The call ends with its scope: at the other side too.
        HttpClient.withScope
      )
  )

/** Speaks to anything with OpenAI's chat completions: Ollama, DeepInfra, Gemini's compatible endpoint, vLLM, … */
export const makeOpenAiProvider = (spec: ProviderSpec, key: Option.Option<Redacted.Redacted>) =>
  Effect.map(makeClient(spec), (client): Provider => {
    const failure = ({ kind, reason }: { readonly kind: FailureKind; readonly reason: string }, pauseMillis?: number) =>
      new ProviderFailure({
        provider: spec.name,
        kind,
        reason,
        ...(pauseMillis === undefined ? {} : { retryAfterMillis: pauseMillis })
      })
    const broken = (reason: string) => failure({ kind: "broken", reason })
    const empty = failure({ kind: "empty", reason: "answers without a choice, as some do where they block" })

    const bytesOf = (response: HttpClientResponse.HttpClientResponse) =>
      Stream.mapError(response.stream, (error) => failure(failureOfConnection(error)))

    const readWhole = (response: HttpClientResponse.HttpClientResponse, maximumBytes: number) =>
      Effect.suspend(() => {
        const pieces: Array<Uint8Array> = []
        let bytes = 0
        return Stream.runForEach(bytesOf(response), (piece) => {
          pieces.push(piece)
          bytes += piece.length
          return bytes > maximumBytes
            ? Effect.fail(broken(`answers with more than ${maximumBytes} bytes`))
            : Effect.void
        }).pipe(Effect.map(() => parseJson(Buffer.concat(pieces).toString("utf8"))))
      })

    const refuse = (response: HttpClientResponse.HttpClientResponse) => {
      const { headers, status } = response
      // The one status that may be about our key or about the request; the others say enough.
      const told = status === 400 ? readWhole(response, refusal.maximumBytes) : Effect.void
      return told.pipe(
        Effect.timeout(refusal.patience),
        Effect.orElseSucceed(() => undefined),
        Effect.flatMap((body) => failure(failureOfStatus(status, body), retryAfterMillis(headers["retry-after"])))
      )
    }

    const open = (call: Call, stream: boolean) =>
      HttpClientRequest.post(`${spec.baseUrl}/chat/completions`).pipe(
        HttpClientRequest.accept(stream ? "text/event-stream" : "application/json"),
        (request) => (Option.isSome(key) ? HttpClientRequest.bearerToken(request, Redacted.value(key.value)) : request),
        HttpClientRequest.bodyUnsafeJson(bodyOf(spec, call, stream)),
        client.execute,
        Effect.mapError((error) => failure(failureOfConnection(error))),
        Effect.filterOrElse(({ status }) => status === 200, refuse),
        Effect.withSpan("Provider.ask", {
          kind: "client",
          attributes: { provider: spec.name, model: call.upstreamModel }
        })
      )

    const readEvent = ({ data, event }: SseEvent): ChatPart | ProviderFailure | "done" => {
      if (data.trim() === "[DONE]") return "done"
      const value = parseJson(data)
      if (event === "error" || isErrorAnswer(value)) return broken("failed in the middle of its answer")
      return readPart(value, "delta") ?? broken("streams what is no chat completion")
    }

    /** Reads events up to the one that ends the stream. */
    const readEvents = (events: ReturnType<SseParser["push"]>): ReadParts => {
      if (Either.isLeft(events)) return { parts: [], stop: broken("streams an event that is too long") }
      const parts: Array<ChatPart> = []
      for (const event of events.right) {
        const found = readEvent(event)
        if (found === "done" || found instanceof ProviderFailure) return { parts, stop: found }
        parts.push(found)
      }
      return { parts, stop: undefined }
    }

    /** What one read of the socket holds stays together: a deadline is set for each read, not for each event. */
    const partsOf = (response: HttpClientResponse.HttpClientResponse) =>
      Stream.suspend(() => {
        const parser = makeSseParser()
        const ending = makeEnding()
        const indexed = makeToolCallIndices()
        let isDone = false
        const batches = bytesOf(response).pipe(
          Stream.map((bytes) => readEvents(parser.push(bytes))),
          Stream.concat(Stream.sync(() => readEvents(parser.end()))),
          Stream.takeUntil(({ stop }) => stop !== undefined)
        )
        const parts = Stream.flatMap(batches, ({ parts, stop }) => {
          if (stop === "done") isDone = true
          parts.forEach(ending.hear)
          const found = Stream.fromChunk(Chunk.unsafeFromArray(parts.map(indexed)))
          return stop instanceof ProviderFailure ? Stream.concat(found, Stream.fail(stop)) : found
        })
        // Some servers forget [DONE]; a stream that ends without either was cut.
        const end = Stream.suspend(() => {
          if (isDone && !ending.hasBegun()) return Stream.fail(empty)
          return isDone || ending.isComplete()
            ? Stream.empty
            : Stream.fail(broken("hung up in the middle of its answer"))
        })
        return Stream.concat(parts, end)
      })

    const isEventStream = ({ headers }: HttpClientResponse.HttpClientResponse): boolean => {
      const type = headers["content-type"]
      return type === undefined || type.toLowerCase().startsWith("text/event-stream")
    }

    return {
      complete: (call) =>
        open(call, false).pipe(
          Effect.flatMap((response) => readWhole(response, maximumAnswerBytes)),
          Effect.flatMap((value) => {
            const part = isErrorAnswer(value) ? undefined : readPart(value, "message")
            if (part === undefined) return Effect.fail(broken("answers with what is no chat completion"))
            return part.choices.length === 0 ? Effect.fail(empty) : Effect.succeed(part)
          }),
          Effect.scoped
        ),
      stream: (call) =>
        Stream.unwrapScoped(
          open(call, true).pipe(
            Effect.filterOrFail(isEventStream, () => broken("answers with what is no event stream")),
            Effect.map(partsOf)
          )
        )
    }
  })
