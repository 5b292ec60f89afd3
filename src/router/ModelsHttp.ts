import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { AuditLog } from "../audit/AuditLog.ts"
import { GatekeeperClient } from "../clients/GatekeeperClient.ts"
import type { Catalog, Shell } from "./models/Catalog.ts"
import { Providers } from "./providers/Providers.ts"
import { authorizedRead } from "./route/AuthorizedRead.ts"

/** `GET /v1/models`: OpenAI's list, with tiers, ghosts, and what could be asked now. */
export const makeModels = (catalog: Catalog) =>
  Effect.gen(function* () {
    const gatekeeper = yield* GatekeeperClient
    const trail = yield* AuditLog
    const providers = yield* Providers
    // OpenAI's clients want a time; what there is to tell is since when this catalogue is read.
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1_000)

    const row = (id: string, kind: "shell" | "ghost", shell: Shell) =>
      Effect.map(providers.get(shell.provider).trouble, (trouble) => ({
        id,
        object: "model",
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
      return HttpServerResponse.unsafeJson(
        { object: "list", data: [...shells, ...ghosts] },
        { headers: { "cache-control": "no-store" } }
      )
    })

    return (request: HttpServerRequest.HttpServerRequest) =>
      authorizedRead(gatekeeper, trail, request, Effect.succeed("models"), list)
  })
