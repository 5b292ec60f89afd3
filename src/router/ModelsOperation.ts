import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Api from "../contracts/router/RouterApi.ts"
import type { Catalog, Shell } from "./models/Catalog.ts"
import { Providers } from "./providers/Providers.ts"
import { audited } from "./route/RouterAccess.ts"

/** `GET /v1/models`: OpenAI's list, with tiers, ghosts, and which of them can be asked now. */
export const modelsRoute = (catalog: Catalog) =>
  Effect.gen(function* () {
    const providers = yield* Providers
    // OpenAI's clients want a time: that since which this catalogue is in force.
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1_000)

    const row = (id: string, kind: "shell" | "ghost", shell: Shell) =>
      Effect.map(providers.get(shell.provider).trouble, (trouble) => ({
        id,
        object: "model" as const,
        created,
        owned_by: shell.provider,
        kind,
        tier: shell.tier,
        available: trouble === undefined,
        trouble: trouble === undefined ? null : `provider ${shell.provider} ${trouble}`
      }))

    const list = Effect.gen(function* () {
      const shells = yield* Effect.forEach(catalog.shells.values(), (shell) => row(shell.name, "shell", shell))
      // A ghost's tier and provider are those of the shell that it prefers.
      const ghosts = yield* Effect.forEach(catalog.ghosts.values(), (ghost) =>
        row(ghost.name, "ghost", ghost.shells[0])
      )
      return { body: { object: "list" as const, data: [...shells, ...ghosts] } }
    })

    yield* audited(Api.models, {
      event: "models.read",
      action: "read",
      fallbackResource: "models",
      target: () => Effect.succeed({ resource: "models", run: () => list })
    })
  })
