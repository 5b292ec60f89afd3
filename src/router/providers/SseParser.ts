import * as Schema from "effect/Schema"

/** One event of a stream as the WHATWG HTML standard, section 9.2.6, reads it; ids and retry times concern nobody here. */
export interface SseEvent {
  /** Empty where the stream names none. */
  readonly event: string
  readonly data: string
}

/** Characters of one event: more is no answer that anybody waits for. */
export const maximumEventLength = 4 * 1024 * 1024

export class SseEventTooLong extends Schema.TaggedError<SseEventTooLong>()("SseEventTooLong", {}) {
  override get message(): string {
    return `an event of the stream is longer than ${maximumEventLength} characters`
  }
}

/** Reads a stream in pieces that may end anywhere, in the middle of a character or a line break too. */
export interface SseParser {
  /** The events that are whole by now. Throws `SseEventTooLong`. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<SseEvent>
  /** What the end left without its empty line; some servers forget it. */
  readonly end: () => ReadonlyArray<SseEvent>
}

export const makeSseParser = (): SseParser => {
  // Drops a byte order mark at the start, as the standard asks, and replaces what is no UTF-8.
  const decoder = new TextDecoder("utf-8")
  let rest = ""
  let afterCarriageReturn = false
  let event = ""
  let data: Array<string> = []
  let dataLength = 0

  const dispatch = (found: Array<SseEvent>) => {
    if (data.length > 0) found.push({ event, data: data.join("\n") })
    event = ""
    data = []
    dataLength = 0
  }

  const line = (text: string, found: Array<SseEvent>) => {
    if (text === "") return dispatch(found)
    const colon = text.indexOf(":")
    if (colon === 0) return
    const field = colon === -1 ? text : text.slice(0, colon)
    const value = colon === -1 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1)
    if (field === "data") {
      data.push(value)
      dataLength += value.length + 1
      if (dataLength > maximumEventLength) throw new SseEventTooLong()
    } else if (field === "event") event = value
  }

  const read = (given: string, found: Array<SseEvent>) => {
    if (given === "") return
    // A line feed that belongs to the carriage return before it, which came in another piece.
    const text = afterCarriageReturn && given.startsWith("\n") ? given.slice(1) : given
    afterCarriageReturn = text === "" ? false : text.endsWith("\r")
    const lines = text.split(/\r\n|\r|\n/)
    const last = lines.length - 1
    for (let i = 0; i < last; i++) {
      line(i === 0 ? rest + lines[0] : (lines[i] ?? ""), found)
      if (i === 0) rest = ""
    }
    rest += lines[last] ?? ""
    if (rest.length > maximumEventLength) throw new SseEventTooLong()
  }

  return {
    push: (bytes) => {
      const found: Array<SseEvent> = []
      read(decoder.decode(bytes, { stream: true }), found)
      return found
    },
    end: () => {
      const found: Array<SseEvent> = []
      read(decoder.decode(), found)
      if (rest !== "") line(rest, found)
      rest = ""
      dispatch(found)
      return found
    }
  }
}
