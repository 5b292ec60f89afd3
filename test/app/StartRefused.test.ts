import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { closedPort, whileClosed } from "../support/ClosedPort.ts"
import { signingSecret } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

const models = "providers: {local: {kind: echo}}\nshells: {small: {tier: L1, provider: unknown, model: small}}\n"

describe("a start that a service refuses opens no port, not even that of another service", () => {
  it.scopedLive.each([
    {
      what: "a models.yaml that it cannot use",
      words: "models.yaml:2:",
      environment: { ROUTER_MODELS_PATH: "models.yaml" }
    },
    {
      what: "no key to sign with",
      words: "GUARDIAN_SIGNING_KEY",
      environment: { NODE_ENV: "production", ALLOW_INSECURE: insecureUnderTest }
    }
  ])("$what", ({ environment, words }) =>
    Effect.gen(function* () {
      const directory = yield* temporaryHome
      writeFileSync(join(directory, "models.yaml"), models)
      const port = yield* closedPort
      const running = yield* program({
        directory,
        environment: {
          DATABASE_URL: Redacted.value(yield* freshDatabase),
          JWT_SECRET_KEY: signingSecret,
          GATEKEEPER_PORT: String(port),
          ...environment
        }
      })
      const { code } = yield* whileClosed(port, running.ended())
      expect(code).toBe(1)
      expect(running.stderr()).toContain(words)
      // The trail is opened before the first port.
      expect(running.output()).not.toContain("Audit background worker started")
      // Nor is a schema touched: no migration is cut off in the middle for it.
      expect(running.output()).not.toContain("0001_")
    })
  )
})
