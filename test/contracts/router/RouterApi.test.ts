import * as OpenApi from "@effect/platform/OpenApi"
import { describe, expect, it } from "@effect/vitest"
import { RouterApi } from "../../../src/contracts/router/RouterApi.ts"
import { refusalCodes, statusOfRefusal } from "../../../src/contracts/router/RouterErrors.ts"

describe("RouterApi", () => {
  const { paths } = OpenApi.fromApi(RouterApi)
  const chat = paths["/v1/chat/completions"]?.post

  it("declares each status that it can answer, and both shapes of an answer", () => {
    const declared = Object.values(paths).flatMap((path) =>
      Object.values(path).flatMap((operation) => Object.keys(operation.responses).map(Number))
    )
    expect(declared).toEqual(expect.arrayContaining(refusalCodes.map(statusOfRefusal)))
    expect(Object.keys(chat?.responses[200]?.content ?? {})).toEqual(["application/json", "text/event-stream"])
  })
})
