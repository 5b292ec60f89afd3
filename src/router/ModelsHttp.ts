import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { Catalog, Shell } from "./models/Catalog.ts"
import { Providers } from "./providers/Providers.ts"
import { authorizedRead } from "./route/AuthorizedRead.ts"

/** Answers `GET /v1/models`: OpenAI's list, with tiers, ghosts, and which of them can be asked now. */
export const answerModels = (catalog: Catalog, createdSeconds: number) => {
  const row = (id: string, kind: "shell" | "ghost", shell: Shell) =>
    Effect.gen(function* () {
      const providers = yield* Providers
      const trouble = yield* providers.get(shell.provider).trouble
      return {
        id,
        object: "model",
        // OpenAI's clients want a time: that since which this catalogue is in force.
        created: createdSeconds,
        owned_by: shell.provider,
        kind,
        tier: shell.tier,
        available: trouble === undefined,
        trouble: trouble === undefined ? null : `provider ${shell.provider} ${trouble}`
      }
    })

  const list = Effect.gen(function* () {
    const shells = yield* Effect.forEach(catalog.shells.values(), (shell) => row(shell.name, "shell", shell))
    // A ghost's tier and provider are those of the shell that it prefers.
    const ghosts = yield* Effect.forEach(catalog.ghosts.values(), (ghost) => row(ghost.name, "ghost", ghost.shells[0]))
    return HttpServerResponse.unsafeJson(
      { object: "list", data: [...shells, ...ghosts] },
      { headers: { "cache-control": "no-store" } }
    )
  })

  return (request: HttpServerRequest.HttpServerRequest) => authorizedRead(request, "models", list)
}
