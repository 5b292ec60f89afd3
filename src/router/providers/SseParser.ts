import * as Either from "effect/Either"

/** One event of a stream, as section 9.2.6 of the WHATWG HTML standard defines it. Ids and retry times are not used here. */
export interface SseEvent {
  /** `message` where the stream names none. */
  readonly event: string
  readonly data: string
}

interface SsePiece {
  readonly events: ReadonlyArray<SseEvent>
  /** A comment was among its lines. Servers send comments while they work on the first event. */
  readonly hasComment: boolean
}

type Read = Either.Either<SsePiece, "too long">

/** Characters of one event. A longer one fails the stream, so that a provider cannot fill the memory. */
export const maximumEventLength = 4 * 1024 * 1024

/** Reads a stream in pieces, which may end in the middle of a character or of a line break. */
export interface SseParser {
  readonly push: (bytes: Uint8Array) => Read
  /** Returns the last event where its empty line is missing: some servers forget it. */
  readonly end: () => Read
}

const colon = 0x3a

export const makeSseParser = (): SseParser => {
  // Drops a byte order mark at the start, and replaces bytes that are not UTF-8, as the standard requires.
  const decoder = new TextDecoder("utf-8")
  let afterCarriageReturn = false
  /** The start of a line whose end has not come. */
  let partial = ""
  let name = ""
  let data: string | undefined
  /** Characters of the event's lines so far. */
  let length = 0
  let events: Array<SseEvent> = []
  let hasComment = false

  const endEvent = () => {
    if (data !== undefined) events.push({ event: name === "" ? "message" : name, data })
    name = ""
    data = undefined
    length = 0
  }

  const readLine = (line: string): void => {
    if (line === "") {
      endEvent()
      return
    }
    if (line.charCodeAt(0) === colon) {
      hasComment = true
      return
    }
    length += line.length
    const end = line.indexOf(":")
    const field = end === -1 ? line : line.slice(0, end)
    const value = end === -1 ? "" : line.slice(line.startsWith(" ", end + 1) ? end + 2 : end + 1)
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`
    else if (field === "event") name = value
  }

  const feed = (piece: string): Read => {
    const text = afterCarriageReturn && piece.startsWith("\n") ? piece.slice(1) : piece
    if (piece !== "") afterCarriageReturn = text.endsWith("\r")
    const lines = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text
    events = []
    hasComment = false
    let from = 0
    for (let end = lines.indexOf("\n"); end !== -1; end = lines.indexOf("\n", from)) {
      readLine(partial + lines.slice(from, end))
      partial = ""
      from = end + 1
      if (length > maximumEventLength) return Either.left("too long")
    }
    partial += lines.slice(from)
    return length + partial.length > maximumEventLength ? Either.left("too long") : Either.right({ events, hasComment })
  }

  return {
    push: (bytes) => feed(decoder.decode(bytes, { stream: true })),
    end: () => feed(`${decoder.decode()}\n\n`)
  }
}
