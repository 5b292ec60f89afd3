/** What a part of an answer says of the whole. */
export type StreamProgress = "head" | "body" | "ended"

/** Reads one streamed answer after the other from a connection that is kept alive. */
export interface StreamReader {
  /** Takes what was received; the answer has ended when its last chunk is there. */
  readonly read: (received: string) => StreamProgress
  /** The status and the text of the answer that has ended, or of what there is of it; the next begins empty. */
  readonly take: () => { readonly status: number; readonly text: string }
}

const contentLength = /\r\ncontent-length: *(\d+)/i

/** The last chunk of a chunked body (RFC 9112, section 7.1), without trailers. */
const lastChunk = "\r\n0\r\n\r\n"

export const streamReader = (): StreamReader => {
  let text = ""
  let headEnd = -1
  const hasEnded = (): boolean => {
    const length = contentLength.exec(text.slice(0, headEnd))?.[1]
    return length === undefined ? text.endsWith(lastChunk) : text.length >= headEnd + 4 + Number(length)
  }
  return {
    read: (received) => {
      text += received
      if (headEnd === -1) headEnd = text.indexOf("\r\n\r\n")
      if (headEnd === -1) return "head"
      if (hasEnded()) return "ended"
      return text.length > headEnd + 4 ? "body" : "head"
    },
    take: () => {
      const taken = { status: Number(text.slice(9, 12)), text }
      text = ""
      headEnd = -1
      return taken
    }
  }
}
