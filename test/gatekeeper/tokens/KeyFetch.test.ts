import { writeFileSync } from "node:fs"
import { createServer } from "node:https"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { certificateOf, testCa } from "../../support/Certificates.ts"
import { issuerKey } from "../../support/Jwks.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { tokensOf } from "../../support/TokensOf.ts"

const exp = Math.floor(Date.now() / 1000) + 600

/** An issuer over https, whose certificate comes from `ca`. */
const httpsIssuer = (ca: ReturnType<typeof testCa>, keys: ReadonlyArray<unknown>) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const { cert, keyPem } = certificateOf("the issuer", ca)
      const server = createServer({ cert, key: keyPem }, (_, response) => response.end(JSON.stringify({ keys })))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        resume(Effect.succeed({ url: `https://127.0.0.1:${port}/jwks.json`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

it.scopedLive("an issuer with a certificate of PEER_CA_FILE is trusted, and one of another CA is not", () =>
  Effect.gen(function* () {
    const key = yield* issuerKey("key")
    const ca = testCa("the test's own CA")
    const file = (name: string) => Effect.map(temporaryHome, (home) => join(home, name))
    const [own, other] = [yield* file("own.crt"), yield* file("other.crt")]
    writeFileSync(own, ca.cert)
    writeFileSync(other, testCa("another").cert)
    const { url } = yield* httpsIssuer(ca, [key.public])
    const token = yield* key.sign({ sub: "Scout", exp })
    for (const [variables, expected] of [
      [{ PEER_CA_FILE: own }, /^Scout$/],
      [{ PEER_CA_FILE: other }, /^KeysUnavailable: UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
      [{}, /^KeysUnavailable: UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
      [{ PEER_CA_FILE: `${own}.none` }, /^KeysUnavailable: PEER_CA_FILE cannot be used/]
    ] as const) {
      const verify = yield* tokensOf({ JWKS_URL: url, ...variables })
      expect(yield* verify(token)).toMatch(expected)
    }
  })
)
