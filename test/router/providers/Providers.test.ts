import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Catalog, Shell } from "../../../src/router/models/Catalog.ts"
import { Providers } from "../../../src/router/providers/Providers.ts"
import { attempt } from "../../../src/router/route/Attempt.ts"
import { callOf } from "../../support/router/Calls.ts"
import { specOf } from "../../support/router/OpenAi.ts"
import { answering, completion, type Script, upstream } from "../../support/router/Upstream.ts"

const shellOf = (name: string): Shell => ({ name, tier: "L1", provider: "p", upstreamModel: name })
const [hot, cold] = [shellOf("hot"), shellOf("cold")]

/** Answers for `cold`; for `hot` as the script does. */
const answers = (script: Script, times: number) =>
  Effect.gen(function* () {
    const server = yield* upstream((request, response) =>
      (request.body["model"] === "hot" ? script : answering(200, completion("hello")))(request, response)
    )
    const catalog: Catalog = {
      providers: new Map([["p", specOf(server.baseUrl, { apiKeyVariable: undefined })]]),
      shells: new Map([hot, cold].map((shell) => [shell.name, shell])),
      ghosts: new Map()
    }
    return yield* Effect.gen(function* () {
      const providers = yield* Providers
      const ask = (shell: Shell) => Effect.either(attempt(providers.get(shell), shell, callOf("hi").request))
      for (let i = 0; i < times; i++) yield* ask(hot)
      const asked = server.requests.length
      return {
        asked,
        hot: yield* ask(hot),
        cold: yield* ask(cold),
        trouble: yield* providers.get(hot).trouble
      }
    }).pipe(Effect.provide(Providers.layer(catalog)))
  })

describe("a shell that fails", () => {
  it.scopedLive("is left alone by itself: other shells of its provider are asked", () =>
    Effect.gen(function* () {
      const { asked, cold: other, hot: failed, trouble } = yield* answers(answering(429, ""), 3)
      expect(asked).toBe(3)
      expect(failed).toMatchObject({ left: { kind: "cooling" } })
      expect(trouble).toContain("is left alone for 2 s for the shell hot, because it kept failing")
      expect(other).toMatchObject({ right: { _tag: "Whole" } })
    })
  )

  it.scopedLive("is left alone for as long as it asks for, after one failure", () =>
    Effect.gen(function* () {
      const { asked, hot: failed } = yield* answers(answering(429, "", { "retry-after": "30" }), 4)
      expect(asked).toBe(1)
      expect(failed).toMatchObject({ left: { kind: "cooling" } })
      const { retryAfterMillis } = failed._tag === "Left" ? failed.left : { retryAfterMillis: 0 }
      expect(retryAfterMillis).toBeGreaterThan(25_000)
    })
  )
})
