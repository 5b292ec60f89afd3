import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { callOf } from "../../support/router/Calls.ts"
import { choice, providerOf, secret } from "../../support/router/OpenAi.ts"
import {
  answering,
  delta,
  events,
  type Script,
  streaming,
  upstream,
  usageChunk
} from "../../support/router/Upstream.ts"

/** Google's answer to an invalid key has the status of an invalid request. */
const keyError = {
  error: {
    code: 400,
    message: `API key not valid: ${secret}`,
    status: "INVALID_ARGUMENT",
    details: [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID", domain: "googleapis.com" },
      { "@type": "type.googleapis.com/google.rpc.LocalizedMessage", locale: "en-US", message: secret }
    ]
  }
}

/** Deeper than `JSON.stringify` can go. */
const deep = "[".repeat(9_000) + "]".repeat(9_000)

const failureFrom = (script: Script, stream = true) =>
  Effect.gen(function* () {
    const provider = yield* providerOf(yield* upstream(script))
    return yield* Effect.flip(
      stream ? Stream.runDrain(provider.stream(callOf("hi"))) : Effect.asVoid(provider.complete(callOf("hi")))
    )
  })

describe("what an OpenAI-compatible provider fails at", () => {
  const failures: ReadonlyArray<readonly [string, Script, string, string]> = [
    ["a stream that was cut", streaming(events(delta("a"))), "broken", "hung up in the middle"],
    [
      "one that was cut, with empty reasons to end",
      streaming(events(delta("a", ""))),
      "broken",
      "hung up in the middle"
    ],
    [
      "a piece too deep to pass on",
      streaming(events(`{"choices":[{"delta":${deep}}]}`)),
      "broken",
      "not chat completion chunks"
    ],
    [
      "one that was cut when one of its two choices had ended",
      streaming(events(choice(0, "a", null), choice(1, "b", null), choice(0, "", "stop"))),
      "broken",
      "hung up in the middle"
    ],
    [
      "an error in the stream",
      streaming(events(delta("a"), `{"error":{"message":"${secret}"}}`)),
      "broken",
      "in the middle"
    ],
    ["a stream without a choice", streaming(events(usageChunk, "[DONE]")), "refused", "without a choice"],
    [
      "one that leaves the choices out",
      streaming(events('{"object":"chat.completion.chunk"}', "[DONE]")),
      "refused",
      "without a choice"
    ],
    ["one without a choice that was cut", streaming(events(usageChunk)), "broken", "hung up in the middle"],
    ["an error by event name", streaming(`event: error\ndata: ${secret}\n\n`), "broken", "in the middle"],
    ["a stream of something else", streaming(events("hello")), "broken", "not chat completion chunks"],
    ["JSON for a stream", answering(200, { error: { message: secret } }), "broken", "in the middle"],
    ["a refused key", answering(401, { error: { message: `bad key ${secret}` } }), "misconfigured", "status 401"],
    ["a forbidden model", answering(403, secret), "misconfigured", "status 403"],
    ["an unknown model", answering(404, secret), "misconfigured", "does not know the model"],
    ["too many requests", answering(429, secret, { "retry-after": "7" }), "busy", "fewer requests"],
    ["a request that it refuses", answering(400, secret), "rejected", "does not accept this request"],
    ["a key that Google refuses", answering(400, keyError), "misconfigured", "our credentials (status 400)"],
    ["the same by its OpenAI endpoint", answering(400, [keyError]), "misconfigured", "our credentials (status 400)"],
    ["a request that Google refuses", answering(400, [{ error: { details: [7] } }]), "rejected", "this request"],
    [
      "a refusal longer than anybody reads",
      answering(400, [keyError, "x".repeat(100_000)]),
      "rejected",
      "this request"
    ],
    ["a refusal without end", (_, response) => response.writeHead(400).write("["), "rejected", "this request"],
    ["an error of its own", answering(500, secret), "broken", "status 500"],
    ["a gateway's timeout", answering(504, secret), "timed_out", "in time"],
    ["a redirect", answering(302, secret, { location: "http://127.0.0.1:1/" }), "broken", "status 302"],
    ["a reset", (_, response) => response.destroy(), "unreachable", "UND_ERR_SOCKET"]
  ]
  for (const [what, script, kind, reason] of failures) {
    it.scopedLive(`${what}: ${kind}, in our own words`, () =>
      Effect.gen(function* () {
        const failure = yield* failureFrom(script)
        expect(failure.kind).toBe(kind)
        expect(failure.message).toContain(reason)
        expect(JSON.stringify(failure) + failure.message).not.toContain(secret)
      })
    )
  }

  for (const [what, body, kind] of [
    ["text", "hello", "broken"],
    ["an error with status 200", { error: { message: secret } }, "broken"],
    ["an answer of another kind", { object: "list", data: [] }, "broken"],
    ["an answer without choices", { choices: [] }, "refused"],
    ["an answer that leaves the choices out", { object: "chat.completion", usage: {} }, "refused"],
    ["an answer too deep to pass on", `{"choices":[{"message":${deep}}]}`, "broken"]
  ] as const) {
    it.scopedLive(`${what} where a completion should be: ${kind}`, () =>
      Effect.gen(function* () {
        const failure = yield* failureFrom(answering(200, body), false)
        expect(failure).toMatchObject({ kind })
        expect(failure.message).not.toContain(secret)
      })
    )
  }

  it.scopedLive("a closed port: unreachable", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf({ baseUrl: "http://127.0.0.1:1/v1" })
      const failure = yield* Effect.flip(provider.complete(callOf("hi")))
      expect(failure).toMatchObject({ kind: "unreachable" })
      expect(failure.message).toContain("ECONNREFUSED")
    })
  )
})
