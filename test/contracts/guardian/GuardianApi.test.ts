import * as OpenApi from "@effect/platform/OpenApi"
import { describe, expect, it } from "@effect/vitest"
import { GuardianApi } from "../../../src/contracts/guardian/GuardianApi.ts"

describe("The guardian's document", () => {
  it("asks for a body where one is needed: a revocation needs none", () => {
    const { paths } = OpenApi.fromApi(GuardianApi)
    const needed = Object.entries(paths).flatMap(([path, { post }]) =>
      post?.requestBody === undefined ? [] : [[path, post.requestBody.required]]
    )
    expect(Object.fromEntries(needed)).toEqual({
      "/validate": true,
      "/session/start": true,
      "/session/heartbeat": true,
      "/session/end": true,
      "/sessions/keep": true,
      "/certificates": true,
      "/certificates/{id}/revoke": false
    })
  })
})
