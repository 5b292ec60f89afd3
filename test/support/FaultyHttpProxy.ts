import * as Http from "node:http"
import * as Effect from "effect/Effect"

/** Between a client and a server that speak HTTP: the way to lose an answer, or to hold a request back. */
export interface HttpFront {
  readonly url: string
  /** The next request to a path that ends so is answered, and the answer does not reach the client: its connection is cut. */
  readonly loseAnswerTo: (path: string) => void
  /** The next request to a path that ends so waits here until the effect that this returns is run, whatever its client does meanwhile. */
  readonly hold: (path: string) => { readonly arrived: Effect.Effect<void>; readonly release: Effect.Effect<number> }
}

interface Held {
  readonly path: string
  readonly arrive: () => void
  readonly released: Promise<void>
  readonly answered: (status: number) => void
}

export const httpFront = (target: string) =>
  Effect.gen(function* () {
    let losing: string | undefined
    let holding: Held | undefined

    const forward = (request: Http.IncomingMessage, body: Buffer) =>
      fetch(`${target}${request.url}`, {
        method: request.method ?? "GET",
        headers: {
          "content-type": "application/json",
          ...(request.headers.authorization === undefined ? {} : { authorization: request.headers.authorization })
        },
        body
      })

    const answer = async (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      const held = holding !== undefined && request.url?.endsWith(holding.path) === true ? holding : undefined
      if (held !== undefined) {
        holding = undefined
        held.arrive()
        await held.released
      }
      const answered = await forward(request, Buffer.concat(chunks))
      const text = await answered.text()
      held?.answered(answered.status)
      if (losing !== undefined && request.url?.endsWith(losing) === true) {
        losing = undefined
        request.socket.destroy()
        return
      }
      response.writeHead(answered.status, { "content-type": "application/json" })
      response.end(text)
    }

    const server = yield* Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          answer(request, response).catch(() => request.socket.destroy())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const address = server.address()
    const front: HttpFront = {
      url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
      loseAnswerTo: (path) => {
        losing = path
      },
      hold: (path) => {
        let arrive = () => {}
        let release = () => {}
        let answered = (_: number) => {}
        const arrival = new Promise<void>((resolve) => {
          arrive = resolve
        })
        const released = new Promise<void>((resolve) => {
          release = resolve
        })
        const status = new Promise<number>((resolve) => {
          answered = resolve
        })
        holding = { path, arrive, released, answered }
        return {
          arrived: Effect.promise(() => arrival),
          release: Effect.promise(() => {
            release()
            return status
          })
        }
      }
    }
    return front
  })
