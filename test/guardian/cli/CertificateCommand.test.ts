import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { loginName } from "../../../src/platform/cli/LoginName.ts"

const withoutEntry = () => {
  throw new Error("the account has no entry")
}

it.effect("The importer of a certificate is recorded as somebody where the account has no name", () =>
  Effect.gen(function* () {
    expect(yield* loginName(() => ({ username: "ada" }))).toBe("ada")
    expect(yield* loginName(withoutEntry)).toBe("somebody")
  })
)
