import { chmodSync, symlinkSync, writeFileSync } from "node:fs"
import * as Path from "node:path"
import { connect as tlsConnect } from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ListenOptions, listen } from "../../../src/platform/http/Listener.ts"
import { readPem } from "../../../src/platform/http/Tls.ts"
import { certificateOf, testCa } from "../../support/Certificates.ts"
import { connected, options, portOf } from "../../support/platform/RawConnection.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const ca = testCa("the test's own CA")

const tlsFiles = Effect.map(temporaryHome, (folder) => {
  const [certificate, key] = [Path.join(folder, "tls.crt"), Path.join(folder, "tls.key")]
  const one = certificateOf("the server", ca)
  writeFileSync(certificate, one.cert)
  writeFileSync(key, one.keyPem)
  return { folder, certificate, key }
})

const secured = (more: Partial<ListenOptions> = {}) =>
  Effect.flatMap(tlsFiles, ({ certificate, key }) =>
    listen({
      ...options((_, response) => response.end("answer")),
      tls: Option.some({ certificate, key, clientCa: Option.none() }),
      ...more
    })
  )

/** A client that completes its handshake. */
const secureClient = (url: string) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof tlsConnect>>((resume) => {
      const socket = tlsConnect({ host: "127.0.0.1", port: portOf(url), ca: ca.cert }, () =>
        resume(Effect.succeed(socket))
      )
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const answerOf = (socket: ReturnType<typeof tlsConnect>) =>
  Effect.async<string>((resume) => {
    socket.setEncoding("utf8").once("data", (text: string) => resume(Effect.succeed(text)))
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
  })

describe("a connection whose TLS handshake does not end", () => {
  it.scopedLive(
    "is closed for the next one beyond the limit, and none that has completed its own is",
    () =>
      Effect.gen(function* () {
        const url = yield* secured({ maximumConnections: 3 })
        const client = yield* secureClient(url)
        const silent = yield* Effect.forEach([1, 2, 3, 4, 5], () => connected(url))
        for (const one of silent.slice(0, 2)) expect(yield* one.whole).toBe("")
        expect(yield* answerOf(client)).toMatch(/^HTTP\/1\.1 200 /)
        expect(yield* answerOf(yield* secureClient(url))).toMatch(/^HTTP\/1\.1 200 /)
      }),
    // Before the time of a handshake ends.
    8_000
  )

  it.scopedLive(
    "is closed after its time, also when it sends a byte now and then",
    () =>
      Effect.gen(function* () {
        const url = yield* secured({ requestTimeout: Duration.millis(300) })
        const slow = yield* connected(url)
        // The head of a record that holds a ClientHello of 512 bytes.
        yield* slow.write("\x16\x03\x01\x02\x00\x01")
        yield* Effect.forkScoped(Effect.forever(Effect.delay(slow.write("\x00"), "50 millis")))
        expect(yield* slow.whole).toBe("")
      }),
    8_000
  )
})

describe("the files of TLS", () => {
  it.scopedLive("may be links, and no other account may change them or the way to them", () =>
    Effect.gen(function* () {
      const { certificate, folder, key } = yield* tlsFiles
      const link = Path.join(folder, "link.key")
      symlinkSync(key, link)
      const read = readPem({ cert: Option.some(certificate), key: Option.some(link), ca: Option.none() })
      expect(Object.keys(yield* read)).toEqual(["cert", "key"])
      chmodSync(key, 0o666)
      expect((yield* Effect.flip(read)).message).toContain(
        `${key} may be changed by other users (mode 0666): chmod go-w ${key}`
      )
      chmodSync(key, 0o600)
      chmodSync(folder, 0o777)
      expect((yield* Effect.flip(read)).message).toContain(`${folder} may be changed by other users (mode 0777)`)
      chmodSync(folder, 0o700)
    })
  )
})
