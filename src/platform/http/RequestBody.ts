import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Bytes of a request body; no request of the contracts needs more. */
export const maximumBodyBytes = 64 * 1024

export class RequestBodyTooLarge extends Schema.TaggedError<RequestBodyTooLarge>()("RequestBodyTooLarge", {
  limit: Schema.Number
}) {
  override get message(): string {
    return `the request body is larger than ${this.limit} bytes`
  }
}

export class RequestBodyMalformed extends Schema.TaggedError<RequestBodyMalformed>()("RequestBodyMalformed", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the request body is not JSON: ${this.problem}`
  }
}

/** V8's reason without the input that it quotes, which may be secret. */
const parserReason = /^(Unexpected token '[^']*'|Unexpected end of JSON input|[^"]*? at position \d+)/

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parse = (bytes: Buffer): Effect.Effect<unknown, RequestBodyMalformed> => {
  if (bytes.length === 0) return Effect.fail(new RequestBodyMalformed({ problem: "it is empty" }))
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return Effect.fail(new RequestBodyMalformed({ problem: "it is not UTF-8" }))
  }
  try {
    return Effect.succeed(JSON.parse(text))
  } catch (thrown) {
    const reason = thrown instanceof SyntaxError ? parserReason.exec(thrown.message)?.[0] : undefined
    return Effect.fail(new RequestBodyMalformed({ problem: reason ?? "it cannot be parsed" }))
  }
}

/**
 * Reads a request's body as JSON, whatever its content type is: clients of the former system differ in it.
 *
 * It reads the socket's chunks itself, since the platform reports a body over its limit and a broken connection as the same
 * error: the first is answered 413, the second not at all. If the client hangs up, the platform interrupts this effect.
 */
export const readJson = (
  request: HttpServerRequest.HttpServerRequest,
  limit = maximumBodyBytes
): Effect.Effect<unknown, RequestBodyTooLarge | RequestBodyMalformed> =>
  Effect.flatMap(
    Effect.async<Buffer, RequestBodyTooLarge | RequestBodyMalformed>((resume) => {
      const message = NodeHttpServerRequest.toIncomingMessage(request)
      const chunks: Array<Buffer> = []
      let bytes = 0
      const finish = (effect: Effect.Effect<Buffer, RequestBodyTooLarge | RequestBodyMalformed>) => {
        message.off("data", onData)
        message.off("end", onEnd)
        resume(effect)
      }
      const tooLarge = () => {
        finish(Effect.fail(new RequestBodyTooLarge({ limit })))
        // The rest is read and dropped, so that the client can read the answer; the server's requestTimeout limits it.
        message.resume()
      }
      const onData = (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > limit) return tooLarge()
        chunks.push(chunk)
      }
      const onEnd = () => finish(Effect.succeed(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
      if (Number(message.headers["content-length"]) > limit) return tooLarge()
      message.on("data", onData)
      message.on("end", onEnd)
    }),
    parse
  )
