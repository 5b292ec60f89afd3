import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { issuerKey, jwksServer } from "../../support/Jwks.ts"
import { tokensOf } from "../../support/TokensOf.ts"

setFlagsFromString("--expose-gc")
const collect: Effect.Effect<void> = Effect.sync(runInNewContext("gc"))

const exp = Math.floor(Date.now() / 1000) + 600

describe("an issuer that fails after it had answered", () => {
  it.scopedLive("leaves unknown, not refused, whether a key that it had not told then is one of its keys", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      const [told, fresh] = yield* Effect.all([issuerKey("told"), issuerKey("fresh")])
      server.publish([told.public])
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_COOL_DOWN: "100ms" })
      expect(yield* verify(yield* told.sign({ sub: "Scout", exp }))).toBe("Scout")
      yield* Effect.sleep("150 millis")
      server.fail(500)
      expect(yield* verify(yield* fresh.sign({ sub: "Scout", exp }))).toBe("KeysUnavailable: status 500")
      expect(yield* verify(yield* told.sign({ sub: "Librarian", exp }))).toBe("Librarian")
    })
  )
})

describe("an issuer that sends to another", () => {
  it.scopedLive("is not followed: who is believed is what JWKS_URL says", () =>
    Effect.gen(function* () {
      const [server, other] = yield* Effect.all([jwksServer, jwksServer])
      const key = yield* issuerKey("key")
      other.publish([key.public])
      server.redirect(other.url)
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      expect(yield* verify(yield* key.sign({ sub: "Scout", exp }))).toBe(
        "KeysUnavailable: status 302: it redirects, which is not followed; JWKS_URL must be the address of the keys themselves"
      )
      expect(other.fetches()).toBe(0)
    })
  )
})

describe("an issuer that takes its time, or never answers", () => {
  it.scopedLive("is asked on for the others when the one whose request asked it leaves", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      server.fail(500)
      const key = yield* issuerKey("key")
      const verify = yield* tokensOf({ JWKS_URL: server.url })
      const token = yield* key.sign({ sub: "Scout", exp })
      yield* Effect.sleep("1200 millis")
      server.publish([key.public])
      server.delay(400)
      const first = yield* Effect.fork(verify(token))
      yield* Effect.sleep("100 millis")
      const second = yield* Effect.fork(verify(token))
      yield* Fiber.interruptFork(first)
      expect(yield* Fiber.join(second)).toBe("Scout")
      expect(server.fetches()).toBe(2)
    })
  )

  it.scopedLive("delays no request for longer than one fetch, however many arrive at once", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      server.hang("before")
      const key = yield* issuerKey("key")
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_TIMEOUT: "1500ms" })
      const tokens = yield* Effect.all(Array.from({ length: 6 }, (_, index) => key.sign({ sub: `Scout${index}`, exp })))
      const [took, answers] = yield* Effect.timed(Effect.forEach(tokens, verify, { concurrency: "unbounded" }))
      for (const answer of answers) expect(answer).toBe("KeysUnavailable: no answer in time")
      expect(Duration.toMillis(took)).toBeLessThan(3_500)
      expect(server.fetches()).toBeLessThanOrEqual(2)
    })
  )

  it.scopedLive("is given up within its answer too, whatever is collected meanwhile", () =>
    Effect.gen(function* () {
      const server = yield* jwksServer
      server.hang("within")
      const token = yield* (yield* issuerKey("key")).sign({ sub: "Scout", exp })
      const verify = yield* tokensOf({ JWKS_URL: server.url, JWKS_TIMEOUT: "500ms" })
      const collecting = yield* Effect.fork(Effect.repeat(collect, Schedule.spaced("50 millis")))
      expect(yield* Effect.timeout(verify(token), "3 seconds")).toBe("KeysUnavailable: no answer in time")
      yield* Fiber.interrupt(collecting)
    })
  )
})
