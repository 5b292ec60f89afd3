import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"

/** Runs an effect and gives the log lines that it wrote beside its result. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    })
    return effect.pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.map((result) => ({ result, lines }))
    )
  })

/** `url` with other parts. */
export const changed = (url: Redacted.Redacted, change: (parts: URL) => void): Redacted.Redacted => {
  const parts = new URL(Redacted.value(url))
  change(parts)
  return Redacted.make(parts.href)
}

/** A TCP server until the scope closes; port 0 takes any free one. */
export const listening = (port: number, onConnection: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}))
        onConnection(socket)
      })
      server.listen(port, "127.0.0.1", () => {
        const address = server.address()
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port: typeof address === "object" && address !== null ? address.port : 0, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** A port without a listener. */
export const closedPort = Effect.scoped(
  Effect.map(
    listening(0, () => {}),
    ({ port }) => port
  )
)

export const secretUrl = (port: number) => Redacted.make(`postgresql://app:hunter2@127.0.0.1:${port}/gravitas`)
