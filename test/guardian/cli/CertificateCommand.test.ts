import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { loginName } from "../../../src/guardian/cli/CertificateCommand.ts"

vi.mock("node:os", async (original) => ({
  ...(await original<typeof import("node:os")>()),
  userInfo: () => {
    throw new Error("the account has no entry")
  }
}))

it.effect("The importer of a certificate is recorded as somebody where the account has no name", () =>
  Effect.gen(function* () {
    expect(yield* loginName).toBe("somebody")
  })
)
