import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type BenchProcess, benchProcess } from "../../../test/support/BenchProcess.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret } from "../../../test/support/Tokens.ts"

export const rivals = ["node", "router", "validate", "unaudited"] as const
export type Rival = (typeof rivals)[number]

export interface Server {
  readonly process: BenchProcess
  readonly url: string
}

/** As `start` in package.json runs the services. */
export const startFlags = ["--max-semi-space-size=64"]

const policy = fileURLToPath(new URL("../../../config/access-policy.yaml", import.meta.url))

/** `unaudited` is the gatekeeper without a trail: what is left when the router and it are set side by side. */
export const startServer = (database: Redacted.Redacted, rival: Rival, flags: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const isBare = rival === "node" || rival === "router"
    const process = yield* benchProcess({
      program: `scripts/bench/${isBare ? "http/BareServer.ts" : "audit/ValidateServer.ts"}`,
      words: [rival === "unaudited" ? "off" : rival],
      flags: [...startFlags, ...flags],
      environment: {
        DATABASE_URL: Redacted.value(database),
        GRAVITAS_HOME: yield* temporaryHome,
        GATEKEEPER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: policy,
        LOG_LEVEL: "error"
      }
    })
    const { url } = yield* process.next(Schema.Struct({ url: Schema.String }))
    const server: Server = { process, url }
    return server
  })
