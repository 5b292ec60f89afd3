import { createPublicKey } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeAssertions } from "../../../src/gatekeeper/oauth/Assertions.ts"
import { ServiceKeys } from "../../../src/gatekeeper/services/ServiceKeys.ts"
import { assertionOf, newKey } from "../../support/ServiceKeys.ts"

it.live("the jti of an assertion has up to 100 characters, of whichever length in UTF-16", () =>
  Effect.gen(function* () {
    const key = yield* newKey
    const keys = Layer.mock(ServiceKeys, {
      own: { ...key, file: "" },
      find: () => Effect.succeed(createPublicKey(key.key))
    })
    const verify = yield* Effect.provide(makeAssertions, keys)
    const problemOf = (jti: string) =>
      Effect.flatMap(assertionOf("service:router", key, { jti }), (assertion) =>
        Effect.match(verify(assertion), { onFailure: ({ reason }) => reason, onSuccess: ({ identity }) => identity })
      )
    expect(yield* problemOf("🗝".repeat(100))).toBe("service:router")
    expect(yield* problemOf("🗝".repeat(101))).toBe("the assertion has no usable jti")
  })
)
