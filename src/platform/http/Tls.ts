import { readFile } from "node:fs/promises"
import * as Http from "node:http"
import * as Https from "node:https"
import { createSecureContext, type SecureContextOptions } from "node:tls"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { TlsFiles } from "../config/Settings.ts"
import { requireTrustedWay } from "../os/NamedFile.ts"

/** The certificate, its key or a CA cannot be used. */
export class TlsUnusable extends Schema.TaggedError<TlsUnusable>()("TlsUnusable", {
  files: Schema.Array(Schema.String),
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `TLS cannot use ${this.files.join(", ")}: ${this.problem}. Give PEM files that this user may read and no other user may ` +
      "change, the key of the certificate among them"
    )
  }
}

/** Files in PEM, by what they are for. */
export type PemFiles = { readonly [K in "cert" | "key" | "ca"]: Option.Option<string> }

type Contents = Pick<SecureContextOptions, "cert" | "key" | "ca">

/** Reads the files, and checks that no other account can change them and that they go together. */
export const readPem = (files: PemFiles): Effect.Effect<Contents, TlsUnusable> =>
  Effect.tryPromise({
    try: async () => {
      const read: Record<string, string> = {}
      for (const [use, file] of Object.entries(files)) {
        if (Option.isNone(file)) continue
        await requireTrustedWay(file.value)
        read[use] = await readFile(file.value, "utf8")
      }
      createSecureContext(read)
      return read
    },
    catch: (thrown) =>
      new TlsUnusable({
        files: Object.values(files).flatMap(Option.toArray),
        problem: thrown instanceof Error ? thrown.message : String(thrown)
      })
  })

const followEvery = "2 seconds"

/**
 * Calls `use` with the files' contents at once, and again whenever they change, until the scope ends. Contents that do not go together,
 * as between two writes, change nothing.
 */
export const followPem = (files: PemFiles, use: (contents: Contents) => void) =>
  Effect.gen(function* () {
    let current = yield* readPem(files)
    let failure: string | undefined
    use(current)
    const look = Effect.matchEffect(readPem(files), {
      onFailure: ({ message }) => {
        if (failure === message) return Effect.void
        failure = message
        return Effect.logWarning(`${message}. What was read before is used on.`)
      },
      onSuccess: (read) => {
        failure = undefined
        if (JSON.stringify(read) === JSON.stringify(current)) return Effect.void
        current = read
        use(read)
        return Effect.logInfo(`TLS uses new contents of ${Object.values(files).flatMap(Option.toArray).join(", ")}.`)
      }
    })
    if (Object.values(files).some(Option.isSome)) {
      yield* Effect.forkScoped(Effect.schedule(look, Schedule.spaced(followEvery)))
    }
  })

/** Node refuses longer headers, the URL included, with 431. The limit leaves room for a long token. */
export const maximumHeaderBytes = 32 * 1024

const minVersion = "TLSv1.2"

/** A server, and its event of a connection that requests come from. */
export interface ListeningServer {
  readonly server: Http.Server
  readonly connected: "connection" | "secureConnection"
}

/** Makes a server that speaks TLS where it is given files. Their contents are followed. */
export const makeServer = (
  tls: Option.Option<TlsFiles>,
  options: Http.ServerOptions & { readonly handshakeTimeout: number },
  accept: Http.RequestListener
): Effect.Effect<ListeningServer, TlsUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    if (Option.isNone(tls)) return { server: Http.createServer(options, accept), connected: "connection" }
    const { certificate, clientCa, key } = tls.value
    const requestCert = Option.isSome(clientCa)
    const server = Https.createServer({ ...options, minVersion, requestCert }, accept)
    const files = { cert: Option.some(certificate), key: Option.some(key), ca: clientCa }
    yield* followPem(files, (contents) => server.setSecureContext({ ...contents, minVersion }))
    return { server, connected: "secureConnection" }
  })
