import { writeFileSync } from "node:fs"
import * as Https from "node:https"
import * as Path from "node:path"
import type { TLSSocket } from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { certificateOf, type TestCertificate, testCa } from "../support/Certificates.ts"
import { eventually } from "../support/Eventually.ts"
import { signingSecret, tokenOf } from "../support/Gravitas.ts"
import { type Program, program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const ca = testCa("the test's own CA")

const httpsUrl = (running: Program, service: string) =>
  Effect.map(running.printed(new RegExp(`${service}\\s+(https://[0-9.:]+)`, "i")), (match) => match[1] ?? "")

interface SecureAnswer {
  readonly status: number
  readonly server: string
  readonly body: string
}

/** The answer to a request that checks the server with `ca`; an error's code in place of it. */
const ask = (
  url: string,
  { client, token, trusted = ca }: { client?: TestCertificate; token?: string; trusted?: TestCertificate } = {}
): Effect.Effect<SecureAnswer | string> =>
  Effect.async((resume) => {
    const body = token === undefined ? undefined : '{"action":"read","resource":"vaults/a"}'
    const request = Https.request(
      url,
      {
        ca: trusted.cert,
        ...(client === undefined ? {} : { cert: client.cert, key: client.keyPem }),
        agent: false,
        method: body === undefined ? "GET" : "POST",
        headers: body === undefined ? {} : { authorization: `Bearer ${token}`, "content-type": "application/json" }
      },
      (response) => {
        const server = String((response.socket as TLSSocket).getPeerCertificate().subject.CN)
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk
        })
        response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, server, body: text })))
      }
    )
    request.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    request.end(body)
  })

const files = Effect.map(temporaryHome, (folder) => {
  const path = (name: string) => Path.join(folder, name)
  return {
    path,
    write: (name: string, text: string) => writeFileSync(path(name), text),
    put: (one: TestCertificate) => {
      writeFileSync(path("tls.crt"), one.cert)
      writeFileSync(path("tls.key"), one.keyPem)
    }
  }
})

describe("TLS", () => {
  it.scopedLive(
    "is what the ports speak, and a changed certificate is taken without a restart",
    () =>
      Effect.gen(function* () {
        const { path, put, write } = yield* files
        put(certificateOf("the first", ca))
        const running = yield* program({
          args: ["gatekeeper"],
          environment: {
            DATABASE_URL: Redacted.value(yield* migratedDatabase),
            JWT_SECRET_KEY: signingSecret,
            TLS_CERT_FILE: path("tls.crt"),
            TLS_KEY_FILE: path("tls.key")
          }
        })
        const url = yield* httpsUrl(running, "gatekeeper")
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        for (const spelling of ["validate", "validate?slow"]) {
          const answer = yield* ask(`${url}/${spelling}`, { token })
          expect(answer).toMatchObject({ status: 200, server: "the first" })
        }
        expect(yield* ask(`${url}/healthz`, { trusted: testCa("another") })).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE")
        const plain = yield* Effect.either(Effect.tryPromise(() => fetch(url.replace("https", "http"))))
        expect(plain._tag).toBe("Left")
        // A certificate without its key is between two writes: nothing changes until the key is there.
        const second = certificateOf("the second", ca)
        write("tls.crt", second.cert)
        yield* running.printed(/TLS cannot use/)
        expect(yield* ask(`${url}/healthz`)).toMatchObject({ server: "the first" })
        write("tls.key", second.keyPem)
        yield* eventually(
          ask(`${url}/healthz`),
          (answer) => typeof answer === "object" && answer.server === "the second"
        )
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
      }),
    90_000
  )

  it.scopedLive(
    "asks clients for certificates of their CA, and a guardian shows its own and checks the gatekeeper's",
    () =>
      Effect.gen(function* () {
        const { path, put, write } = yield* files
        put(certificateOf("a service", ca))
        write("ca.crt", ca.cert)
        const environment = {
          DATABASE_URL: Redacted.value(yield* migratedDatabase),
          JWT_SECRET_KEY: signingSecret,
          TLS_CERT_FILE: path("tls.crt"),
          TLS_KEY_FILE: path("tls.key"),
          TLS_CLIENT_CA_FILE: path("ca.crt")
        }
        const gatekeeper = yield* program({ args: ["gatekeeper"], environment })
        const url = yield* httpsUrl(gatekeeper, "gatekeeper")
        const client = certificateOf("a client", ca)
        expect(yield* ask(`${url}/healthz`, { client })).toMatchObject({ status: 200 })
        const refused = [
          yield* ask(`${url}/healthz`),
          yield* ask(`${url}/healthz`, { client: certificateOf("a client", testCa("another")) })
        ]
        for (const one of refused) expect(typeof one).toBe("string")
        const guardian = (more: Readonly<Record<string, string>>) =>
          program({ args: ["guardian"], environment: { ...environment, GATEKEEPER_URL: url, ...more } })
        const trusting = yield* guardian({ PEER_CA_FILE: path("ca.crt") })
        const validate = (running: Program) =>
          Effect.gen(function* () {
            const token = yield* Effect.promise(() => tokenOf("Scout"))
            return yield* ask(`${yield* httpsUrl(running, "guardian")}/validate`, { client, token })
          })
        // Asked and refused for its body: the gatekeeper was reached, by both ways of this process.
        yield* eventually(validate(trusting), (answer) => typeof answer === "object" && answer.status === 422)
        const careful = yield* guardian({})
        expect(yield* validate(careful)).toMatchObject({ status: 503 })
        expect(careful.output()).not.toContain("ECONNREFUSED")
      }),
    120_000
  )

  it.scopedLive("refuses files that do not go together before a port opens, and settings that say half", () =>
    Effect.gen(function* () {
      const { path, put, write } = yield* files
      put(certificateOf("one", ca))
      write("tls.key", certificateOf("other", ca).keyPem)
      const environment = { DATABASE_URL: Redacted.value(yield* migratedDatabase), JWT_SECRET_KEY: signingSecret }
      for (const [given, words] of [
        [{ TLS_CERT_FILE: path("tls.crt"), TLS_KEY_FILE: path("tls.key") }, /TLS cannot use .*key values mismatch/],
        [{ TLS_CERT_FILE: path("none.crt"), TLS_KEY_FILE: path("tls.key") }, /TLS cannot use .*ENOENT/],
        [{ TLS_CERT_FILE: path("tls.crt") }, /TLS_KEY_FILE: is needed with TLS_CERT_FILE/],
        [{ TLS_KEY_FILE: path("tls.key") }, /TLS_CERT_FILE: is needed with TLS_KEY_FILE/],
        [{ TLS_CLIENT_CA_FILE: path("tls.crt") }, /TLS_CERT_FILE: is needed with TLS_CLIENT_CA_FILE/]
      ] as const) {
        const running = yield* program({ args: ["gatekeeper"], environment: { ...environment, ...given } })
        expect((yield* running.ended()).code).toBe(1)
        expect(running.stderr()).toMatch(words)
        expect(running.output()).not.toContain("is ready")
      }
    })
  )
})
