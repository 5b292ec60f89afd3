import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { SessionId } from "../../../src/contracts/guardian/GuardianSchemas.ts"
import { sessionIdOf } from "../../../src/router/route/SessionId.ts"

const isSessionId = Schema.is(SessionId)

describe("The id of a session", () => {
  it("holds that of its request", () => expect(sessionIdOf("try-1", "cfaba2b8d268")).toBe("try-1.cfaba2b8d268"))

  it.each(["./build/7", "a/../b", "..", ".", "/", "../", "a//b"])(
    "is one that the guardian takes: of %s",
    (requestId) => expect(isSessionId(sessionIdOf(requestId, "cfaba2b8d268"))).toBe(true)
  )

  const id = FastCheck.string({
    unit: FastCheck.constantFrom(..."./+:=~@_-aZ9"),
    minLength: 1,
    maxLength: 100
  })
  it.prop("is taken of every id that a request may have", [id], ([requestId]) =>
    isSessionId(sessionIdOf(requestId, "cfaba2b8d268"))
  )
})
