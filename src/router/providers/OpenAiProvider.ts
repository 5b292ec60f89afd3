import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { parseJson } from "../../domain/Text.ts"
import type { ProviderSpec } from "../models/Catalog.ts"
import { makeStreamReader, maximumAnswerBytes, readWholeAnswer } from "./AnswerReader.ts"
import { type Call, type Provider, ProviderFailure } from "./Provider.ts"
import { decodedBytes, makeProviderClient } from "./ProviderConnections.ts"
import { type FailureFields, failureOfConnection, failureOfStatus, isExplained } from "./ProviderErrors.ts"
import { providerBody, providerRequests } from "./ProviderRequest.ts"
import { retryAfterMillis } from "./RetryAfter.ts"

const refusalLimits = { maximumBytes: 64 * 1024, timeout: "2 seconds" } as const

type ProviderResponse = HttpClientResponse.HttpClientResponse

type MakeFailure = (
  fields: FailureFields & Partial<Pick<ProviderFailure, "retryAfterMillis" | "shouldRetry">>
) => ProviderFailure

const bytesOf = (failure: MakeFailure, response: ProviderResponse) =>
  decodedBytes(response, (error) => failure(failureOfConnection(error)))

const readBytes = (failure: MakeFailure, response: ProviderResponse, maximumBytes: number) =>
  Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let bytes = 0
    return Stream.runForEach(bytesOf(failure, response), (piece) => {
      pieces.push(piece)
      bytes += piece.length
      return bytes > maximumBytes
        ? Effect.fail(failure({ kind: "broken", reason: `answers with more than ${maximumBytes} bytes` }))
        : Effect.void
    }).pipe(Effect.map(() => Buffer.concat(pieces)))
  })

/** RFC 9110, section 15.3: these have a body that is the answer. */
const hasAnswer = ({ status }: ProviderResponse): boolean => status >= 200 && status < 300 && status !== 204

const refuse = (failure: MakeFailure, response: ProviderResponse) =>
  Effect.gen(function* () {
    const { headers, status } = response
    const body = isExplained(status)
      ? yield* readBytes(failure, response, refusalLimits.maximumBytes).pipe(
          Effect.timeout(refusalLimits.timeout),
          Effect.map((bytes) => Option.getOrUndefined(parseJson(bytes.toString("utf8")))),
          Effect.orElseSucceed(() => undefined)
        )
      : undefined
    const now = yield* Clock.currentTimeMillis
    const asked = headers["x-should-retry"]
    return yield* failure({
      ...failureOfStatus(status, body),
      retryAfterMillis: retryAfterMillis(headers, now, body),
      shouldRetry: asked === "true" ? true : asked === "false" ? false : undefined
    })
  })

/** The parts of a stream. One read of the socket stays one chunk: a deadline is set for each read, not for each event. */
const partsOf = (failure: MakeFailure, { request }: Call, response: ProviderResponse) =>
  Stream.suspend(() => {
    const reader = makeStreamReader(response.headers["content-type"], request.choices)
    return bytesOf(failure, response).pipe(
      Stream.map(reader.push),
      Stream.concat(Stream.sync(reader.end)),
      Stream.takeUntil(({ stop }) => stop !== undefined),
      Stream.flatMap(({ parts, stop }) => {
        const found = Stream.fromChunk(Chunk.unsafeFromArray([...parts]))
        return stop === undefined || stop === "done" ? found : Stream.concat(found, Stream.fail(failure(stop)))
      })
    )
  })

const shown = (field: string): string => JSON.stringify(field.slice(0, 50).toWellFormed())

/** A provider with OpenAI's chat completions: Ollama, DeepInfra, Gemini's compatible endpoint, vLLM, … */
export const makeOpenAiProvider = (
  spec: ProviderSpec,
  key: Option.Option<Redacted.Redacted>,
  proxy?: Redacted.Redacted
) =>
  Effect.map(makeProviderClient(spec, proxy), (client): Provider => {
    const failure: MakeFailure = (fields) => new ProviderFailure({ provider: spec.name, ...fields })
    const requestOf = providerRequests(spec, key)

    const open = (call: Call, stream: boolean) =>
      Effect.suspend(() => {
        const body = providerBody(spec, call, stream)
        if ("refused" in body) {
          const reason = `does not accept the field ${shown(body.refused)}; see its fields in models.yaml`
          return failure({ kind: "rejected", reason, param: body.refused.slice(0, 50).toWellFormed() })
        }
        return Effect.mapError(client.execute(requestOf(body.text, stream)), (error) =>
          failure(failureOfConnection(error))
        )
      }).pipe(
        Effect.filterOrElse(hasAnswer, (response) => refuse(failure, response)),
        Effect.withSpan("Provider.ask", {
          kind: "client",
          attributes: { provider: spec.name, model: call.upstreamModel }
        })
      )

    return {
      complete: (call) =>
        open(call, false).pipe(
          Effect.flatMap((response) => readBytes(failure, response, maximumAnswerBytes)),
          Effect.flatMap((bytes) => {
            const found = readWholeAnswer(bytes)
            return "kind" in found ? Effect.fail(failure(found)) : Effect.succeed(found)
          }),
          Effect.scoped
        ),
      stream: (call) =>
        Stream.unwrapScoped(Effect.map(open(call, true), (response) => partsOf(failure, call, response)))
    }
  })
