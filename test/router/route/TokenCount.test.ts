import { describe, expect, it } from "@effect/vitest"
import { countTokens } from "../../../src/router/route/TokenCount.ts"
import { callOf } from "../../support/router/Calls.ts"

const { request } = callOf("what is the time?")

describe("countTokens", () => {
  it("has the provider's count", () => {
    const usage = { promptTokens: 7, completionTokens: 2, raw: {} }
    expect(countTokens({ characters: 400, request, usage })).toEqual({
      promptTokens: 7,
      completionTokens: 2,
      isEstimated: false
    })
  })

  it("estimates an answer that was cut before its count", () => {
    // The messages are "be brief" and the question.
    expect(countTokens({ characters: 41, request, usage: undefined })).toEqual({
      promptTokens: 7,
      completionTokens: 11,
      isEstimated: true
    })
  })

  it("has no count where nothing was said", () => {
    expect(countTokens({ characters: 0, request, usage: undefined })).toBeUndefined()
  })
})
