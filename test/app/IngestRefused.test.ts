import * as Http from "node:http"
import { expect, layer } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Gravitas, tokenOf } from "../support/Gravitas.ts"

/** The answer to a batch of which no more than its head is sent. */
const headOf = (url: string, token: string | undefined, patience: Duration.DurationInput = "20 seconds") =>
  Effect.async<number | undefined>((resume) => {
    const sent = Http.request(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": String(1024 * 1024),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
      }
    })
    sent.on("response", ({ statusCode }) => resume(Effect.succeed(statusCode)))
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.flushHeaders()
    return Effect.sync(() => sent.destroy())
  }).pipe(Effect.timeout(patience), Effect.option)

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("POST /audit/events", (it) => {
  it.effect("does not read the body of a caller who may not write", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const url = `${gatekeeper}/audit/events`
      const [scout, guardian] = yield* Effect.promise(() =>
        Promise.all([tokenOf("Scout"), tokenOf("service:guardian")])
      )
      expect(yield* headOf(url, undefined)).toMatchObject({ value: 401 })
      expect(yield* headOf(url, scout)).toMatchObject({ value: 403 })
      expect(yield* headOf(url, guardian, "1 second")).toMatchObject({ _tag: "None" })
    })
  )
})
