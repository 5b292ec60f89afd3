import * as Net from "node:net"

export interface LoadAnswer {
  readonly status: number
  readonly body: string
}

/** A kept-alive connection with one request at a time. Node's own client costs more than the fastest server that it would measure. */
export interface LoadConnection {
  readonly ask: (answered: (answer: LoadAnswer) => void) => void
  readonly close: () => void
}

const contentLength = /\r\ncontent-length: *(\d+)/i

/** Takes the first answer off the front of `received`; undefined while it is not complete. */
const firstAnswer = (received: string): { readonly answer: LoadAnswer; readonly rest: string } | undefined => {
  const headEnd = received.indexOf("\r\n\r\n")
  if (headEnd === -1) return undefined
  const length = contentLength.exec(received.slice(0, headEnd))?.[1]
  if (length === undefined) throw new Error(`an answer without content-length: ${received.slice(0, headEnd)}`)
  const end = headEnd + 4 + Number(length)
  if (received.length < end) return undefined
  return {
    answer: { status: Number(received.slice(9, 12)), body: received.slice(headEnd + 4, end) },
    rest: received.slice(end)
  }
}

/** Opens a connection that sends `request`, whole as it is. `lost` is called when the server closes it or answers no HTTP. */
export const openConnection = (url: URL, request: string, lost: (error: Error) => void): Promise<LoadConnection> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: url.hostname, port: Number(url.port), noDelay: true })
    const bytes = Buffer.from(request)
    let received = ""
    let waiting: ((answer: LoadAnswer) => void) | undefined
    // One character for each byte, so that lengths agree.
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => {
      received += chunk
      try {
        const first = firstAnswer(received)
        if (first === undefined) return
        received = first.rest
        const answered = waiting
        waiting = undefined
        answered?.(first.answer)
      } catch (error) {
        lost(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.once("error", reject)
    socket.on("error", lost)
    socket.once("close", () => lost(new Error("the server closed a connection")))
    socket.once("connect", () =>
      resolve({
        ask: (answered) => {
          waiting = answered
          socket.write(bytes)
        },
        close: () => {
          socket.removeAllListeners("close")
          socket.destroy()
        }
      })
    )
  })
