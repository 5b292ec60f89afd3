import { randomBytes } from "node:crypto"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { memberOf, parseJson } from "../../domain/Text.ts"
import { makeChunkReader } from "../protocol/ChatChunks.ts"
import { type ChatPart, isErrorAnswer, makePart, readCompletion, signOfLife } from "../protocol/ChatPart.ts"
import { makeWholeAnswer } from "../protocol/WholeAnswer.ts"
import { type FailureFields, failureOfError } from "./ProviderErrors.ts"
import { makeSseParser, type SseParser } from "./SseParser.ts"

/*
 * Reads what an OpenAI-compatible provider answers with: an event stream, or one JSON text, whatever was asked for and whatever its
 * content type says.
 */

/** Bytes of an answer that is not a stream. */
export const maximumAnswerBytes = 16 * 1024 * 1024

/** An id for a call of a tool that its provider gives none: the client sends it back with the result. */
const newCallId = (): string => `call_${randomBytes(12).toString("hex")}`

const broken = (reason: string): FailureFields => ({ kind: "broken", reason })

const noChoice: FailureFields = { kind: "refused", reason: "answers without a choice, as some do where they block" }

const tooLong = broken(`answers with more than ${maximumAnswerBytes} bytes`)

const jsonOf = (text: string): unknown => Option.getOrUndefined(parseJson(text))

interface ReadParts {
  readonly parts: ReadonlyArray<ChatPart>
  /** `done`: nothing more is read. */
  readonly stop: FailureFields | "done" | undefined
}

const nothing: ReadParts = { parts: [], stop: undefined }

/** Reads an answer in the pieces in which it comes. */
interface AnswerReader {
  readonly push: (bytes: Uint8Array) => ReadParts
  readonly end: () => ReadParts
}

/** Whether a JSON object is a part of an answer, if it has no choice. */
const isWithoutChoice = (value: unknown): boolean =>
  Array.isArray(memberOf(value, "choices")) || memberOf(value, "object") === "chat.completion.chunk"

const makeEventReader = (expected: number): AnswerReader => {
  const parser = makeSseParser()
  const chunks = makeChunkReader(newCallId, expected)
  let isBlocked = false

  const done = (parts: Array<ChatPart>): ReadParts => {
    if (!chunks.hasBegun()) return { parts, stop: isBlocked ? noChoice : broken("streams no answer") }
    const last = chunks.close()
    if (last !== undefined) parts.push(last)
    return { parts, stop: "done" }
  }

  const read = (found: ReturnType<SseParser["push"]>, parts: Array<ChatPart>): ReadParts => {
    if (Either.isLeft(found)) return { parts, stop: broken("streams an event that is too long") }
    for (const { data, event } of found.right.events) {
      const text = data.trim()
      if (text === "[DONE]") return done(parts)
      const value = text === "" ? undefined : jsonOf(text)
      if (event === "error" || isErrorAnswer(value)) return { parts, stop: failureOfError(value) }
      // An empty one keeps the connection alive.
      if (text === "") continue
      const part = chunks.read(value, text)
      if (part === "error") return { parts, stop: failureOfError(undefined) }
      isBlocked ||= isWithoutChoice(value)
      if (part === undefined && event === "message") {
        return { parts, stop: broken("streams events that are not chat completion chunks") }
      }
      if (part !== undefined && part !== "ignored") parts.push(part)
    }
    const { events, hasComment } = found.right
    if (parts.length === 0 && (hasComment || events.length > 0)) parts.push(signOfLife)
    return { parts, stop: undefined }
  }

  return {
    push: (bytes) => read(parser.push(bytes), []),
    // Some servers forget [DONE]. A stream that ends without it and without a finish reason was cut.
    end: () => {
      const last = read(parser.end(), [])
      if (last.stop !== undefined) return last
      const stop = chunks.isEnd() ? "done" : broken("hung up in the middle of its answer")
      return { parts: last.parts.filter((part) => part !== signOfLife), stop }
    }
  }
}

const completionOf = (text: string): ChatPart | FailureFields => {
  const value = jsonOf(text)
  if (isErrorAnswer(value)) return failureOfError(value)
  const part = readCompletion(value, text, newCallId)
  if (part === "error") return failureOfError(undefined)
  if (part === undefined) return broken("sent an answer that is not a chat completion")
  return part.choices.length === 0 ? noChoice : part
}

const isFailure = (found: ChatPart | FailureFields): found is FailureFields => "kind" in found

/** The chunk that says the same as a whole answer. */
const asChunk = (whole: ChatPart): ChatPart => {
  const choices = whole.choices.map(({ message, ...choice }) => {
    const calls = memberOf(message, "tool_calls")
    const indexed = Array.isArray(calls)
      ? { tool_calls: calls.map((call: unknown, index) => ({ index, ...Object(call) })) }
      : {}
    return { ...choice, delta: { ...Object(message), ...indexed } }
  })
  return { ...makePart("delta", choices, whole.usage), moreText: whole.moreText, isEnd: true }
}

const isBrace = (byte: number): boolean => byte === 0x7b || byte === 0x5b

/** JSON begins with a brace, also after a byte order mark; events begin with a field's name or a colon. */
const startOf = (bytes: Uint8Array): "json" | "events" | undefined => {
  for (const byte of bytes) {
    if (isBrace(byte)) return "json"
    const isSpace = byte <= 0x20 || byte === 0xef || byte === 0xbb || byte === 0xbf
    if (!isSpace) return "events"
  }
  return undefined
}

/** What is before the brace may be half of a byte order mark: the other half came in a piece of its own. */
const jsonText = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes.subarray(Math.max(0, bytes.findIndex(isBrace))))

/** Collects a JSON text, which is read at its end. */
const makeJsonReader = (): AnswerReader => {
  const pieces: Array<Uint8Array> = []
  let length = 0
  return {
    push: (bytes) => {
      pieces.push(bytes)
      length += bytes.length
      return length > maximumAnswerBytes ? { parts: [], stop: tooLong } : nothing
    },
    end: () => {
      const found = completionOf(jsonText(Buffer.concat(pieces)))
      return isFailure(found) ? { parts: [], stop: found } : { parts: [asChunk(found)], stop: "done" }
    }
  }
}

/** Reads a streamed answer; also one that came whole, as its only part. `expected`: choices that the request asks for. */
export const makeStreamReader = (contentType: string | undefined, expected: number): AnswerReader => {
  if (/^text\/event-stream/i.test(contentType ?? "")) return makeEventReader(expected)
  let reader: AnswerReader | undefined
  return {
    push: (bytes) => {
      const start = startOf(bytes)
      if (reader === undefined && start === undefined) return nothing
      reader ??= start === "json" ? makeJsonReader() : makeEventReader(expected)
      return reader.push(bytes)
    },
    end: () => reader?.end() ?? { parts: [], stop: broken("sent an empty answer") }
  }
}

/** Reads a whole answer; also one that came as a stream. */
export const readWholeAnswer = (bytes: Uint8Array): ChatPart | FailureFields => {
  if (startOf(bytes) !== "events") return completionOf(jsonText(bytes))
  const reader = makeEventReader(1)
  const pushed = reader.push(bytes)
  const { parts, stop } = pushed.stop === undefined ? reader.end() : pushed
  const all = pushed.stop === undefined ? [...pushed.parts, ...parts] : parts
  if (stop !== "done") return stop ?? broken("sent an answer that is not a chat completion")
  const whole = makeWholeAnswer(maximumAnswerBytes)
  for (const part of all) whole.add(part)
  const choices = whole.choices().filter(Predicate.isReadonlyRecord)
  const usage = all.findLast((part) => part.usage !== undefined)?.usage
  return makePart("message", choices, usage)
}
