import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { databaseOn } from "../../../test/support/BenchDatabase.ts"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret, tokenOf } from "../../../test/support/Tokens.ts"
import { configFile, startFlags } from "../http/Rivals.ts"

const certify = (guardian: string) =>
  Effect.promise(async () => {
    const token = await tokenOf("Operator")
    const response = await fetch(new URL("/certificates", guardian), {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ agent: "Librarian" })
    })
    if (response.status !== 201) throw new Error(`the guardian answered ${response.status}: ${await response.text()}`)
  })

export interface RouterProcessOptions {
  /** The path of ChatServer, built or not. */
  readonly program: string
  /** The path of the file of the models. */
  readonly models: string
  /** For node, beside those of `pnpm start`. */
  readonly flags?: ReadonlyArray<string>
}

/** All services in one process, on a new database of `server`, with a certificate for the ghost that asks. */
export const routerProcess = (server: Redacted.Redacted, { flags = [], models, program }: RouterProcessOptions) =>
  Effect.gen(function* () {
    const process = yield* benchProcess({
      program,
      words: [],
      flags: [...startFlags, ...flags],
      environment: {
        DATABASE_URL: Redacted.value(yield* databaseOn(server)),
        GRAVITAS_HOME: yield* temporaryHome,
        GATEKEEPER_PORT: "0",
        GUARDIAN_PORT: "0",
        ROUTER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: configFile("access-policy.yaml"),
        ROUTER_MODELS_PATH: models,
        LOG_LEVEL: "error",
        // An answer that comes late on a busy machine shall be measured, not refused.
        PEER_TIMEOUT: "30s"
      }
    })
    const { guardian, router } = yield* process.next(Schema.Struct({ guardian: Schema.String, router: Schema.String }))
    yield* certify(guardian)
    return { process, url: new URL("/v1/chat/completions", router).href }
  })
