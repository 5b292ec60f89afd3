import { createServer } from "node:http"
import * as Effect from "effect/Effect"
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose"

/** A key pair of an issuer. */
export interface IssuerKey {
  readonly public: JWK
  readonly sign: (claims: Record<string, unknown>, header?: Record<string, unknown>) => Effect.Effect<string>
}

export const issuerKey = (kid: string, alg = "ES256"): Effect.Effect<IssuerKey> =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    return {
      public: { ...(await exportJWK(publicKey)), kid, alg },
      sign: (claims, header = {}) =>
        Effect.promise(() =>
          new SignJWT({ iat: Math.floor(Date.now() / 1_000), ...claims })
            .setProtectedHeader({ alg, kid, ...header })
            .sign(privateKey)
        )
    }
  })

/** An issuer's JWKS endpoint on this machine, until the scope ends. */
export interface JwksServer {
  readonly url: string
  /** What it answers from now on; a text as it is. */
  readonly publish: (keys: ReadonlyArray<JWK> | string) => void
  /** From now on it answers this status alone. */
  readonly fail: (status: number) => void
  /** From now on it takes requests and never answers, or never ends its answer. */
  readonly hang: (where: "before" | "within") => void
  /** From now on it takes so many milliseconds to answer. */
  readonly delay: (millis: number) => void
  /** From now on it redirects every request. */
  readonly redirect: (to: string) => void
  readonly fetches: () => number
}

export const jwksServer = Effect.acquireRelease(
  Effect.async<JwksServer & { readonly close: () => void }>((resume) => {
    let body = JSON.stringify({ keys: [] })
    let status = 200
    let fetches = 0
    let hanging: "before" | "within" | undefined
    let delay = 0
    let headers: Readonly<Record<string, string>> = { "content-type": "application/json" }
    const server = createServer((_, response) => {
      fetches += 1
      if (hanging === "within") response.writeHead(200, headers).write('{"keys":')
      if (hanging !== undefined) return
      setTimeout(() => response.writeHead(status, headers).end(body), delay)
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(
        Effect.succeed({
          url: `http://127.0.0.1:${port}/jwks.json`,
          publish: (keys) => {
            status = 200
            body = typeof keys === "string" ? keys : JSON.stringify({ keys })
          },
          fail: (failing) => {
            status = failing
          },
          hang: (where) => {
            hanging = where
          },
          delay: (millis) => {
            delay = millis
          },
          redirect: (to) => {
            status = 302
            headers = { location: to }
          },
          fetches: () => fetches,
          close: () => {
            server.close()
            server.closeAllConnections()
          }
        })
      )
    })
  }),
  ({ close }) => Effect.sync(close)
)
