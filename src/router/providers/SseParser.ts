import * as Sse from "@effect/experimental/Sse"
import * as Either from "effect/Either"

/** One event of a stream, as section 9.2.6 of the WHATWG HTML standard defines it. Ids and retry times are not used here. */
export interface SseEvent {
  /** `message` where the stream names none. */
  readonly event: string
  readonly data: string
}

/** Characters of one event. A longer one fails the stream, so that a provider cannot fill the memory. */
export const maximumEventLength = 4 * 1024 * 1024

/** Reads a stream in pieces, which may end in the middle of a character or of a line break. */
export interface SseParser {
  readonly push: (bytes: Uint8Array) => Either.Either<ReadonlyArray<SseEvent>, Sse.SseError>
  /** Returns the last event where its empty line is missing: some servers forget it. */
  readonly end: () => Either.Either<ReadonlyArray<SseEvent>, Sse.SseError>
}

/**
 * Makes a parser from the library's, which reads a piece of text from its start again for each line, and takes a line feed for an
 * empty line where another piece ended in its carriage return. So it is fed line by line, with line feeds only.
 */
export const makeSseParser = (): SseParser => {
  let events: Array<SseEvent> = []
  const parser = Sse.makeParser(
    (found) => {
      if (found._tag === "Event") events.push({ event: found.event, data: found.data })
    },
    { maxEventSize: maximumEventLength }
  )
  // Drops a byte order mark at the start, and replaces bytes that are not UTF-8, as the standard requires.
  const decoder = new TextDecoder("utf-8")
  let afterCarriageReturn = false

  const feed = (piece: string): Either.Either<ReadonlyArray<SseEvent>, Sse.SseError> => {
    const text = afterCarriageReturn && piece.startsWith("\n") ? piece.slice(1) : piece
    if (piece !== "") afterCarriageReturn = text.endsWith("\r")
    const lines = text.replace(/\r\n?/g, "\n")
    events = []
    for (let from = 0, end = 0; from < lines.length; from = end) {
      end = lines.indexOf("\n", from) + 1 || lines.length
      const error = parser.feed(lines.slice(from, end))
      if (error !== undefined) return Either.left(error)
    }
    return Either.right(events)
  }

  return {
    push: (bytes) => feed(decoder.decode(bytes, { stream: true })),
    end: () => feed(`${decoder.decode()}\n\n`)
  }
}
