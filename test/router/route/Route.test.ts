import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { SessionId } from "../../../src/contracts/guardian/GuardianSchemas.ts"
import { sessionIdOf } from "../../../src/router/route/Route.ts"

const isSessionId = Schema.is(SessionId)

describe("The id of a session", () => {
  it("a session's id holds the request's id", () =>
    expect(sessionIdOf("try-1", "cfaba2b8d268")).toBe("try-1.cfaba2b8d268"))

  it.each(["./build/7", "a/../b", "..", ".", "/", "../", "a//b"])(
    "the guardian accepts the session id of request %s",
    (requestId) => expect(isSessionId(sessionIdOf(requestId, "cfaba2b8d268"))).toBe(true)
  )

  const id = FastCheck.string({
    unit: FastCheck.constantFrom(..."./+:=~@_-aZ9"),
    minLength: 1,
    maxLength: 100
  })
  it.prop("the guardian accepts the session id of every request id", [id], ([requestId]) =>
    isSessionId(sessionIdOf(requestId, "cfaba2b8d268"))
  )
})
