import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { InvalidRequest } from "../contracts/ApiError.ts"
import { encodeCursor } from "../contracts/Fields.ts"
import * as Api from "../contracts/router/RouterApi.ts"
import { hasControlCharacter } from "../domain/Text.ts"
import { History } from "./history/History.ts"
import { type Catalog, historyResource, maximumResourceLength, type Shell } from "./models/Catalog.ts"
import { Providers } from "./providers/Providers.ts"
import { audited } from "./route/RouterAccess.ts"

/** `GET /v1/models`: OpenAI's list, with tiers, ghosts, and which of them can be asked now. */
export const modelsRoute = (catalog: Catalog) =>
  Effect.gen(function* () {
    const providers = yield* Providers
    // OpenAI's clients want a time: that since which this catalogue is in force.
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1_000)

    const row = (id: string, kind: "shell" | "ghost", shell: Shell) =>
      Effect.map(providers.get(shell).trouble, (trouble) => ({
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

const isGhostName = (ghost: string): boolean =>
  ghost !== "" && !hasControlCharacter(ghost) && historyResource(ghost).length <= maximumResourceLength

export const historyRoute = Effect.flatMap(History, (history) =>
  audited(Api.history, {
    event: "history.read",
    action: "read",
    // No ghost has this resource: the gatekeeper authenticates and records the caller of a malformed request too.
    fallbackResource: "history/%",
    target: ({ urlParams: { cursor, ghost, limit } }) =>
      isGhostName(ghost)
        ? Effect.succeed({
            resource: historyResource(ghost),
            run: () =>
              Effect.map(history.read({ ghost, limit, before: cursor }), ({ hasMore, rows }) => {
                const last = rows.at(-1)
                const next = hasMore && last !== undefined ? encodeCursor(last.id) : null
                return { body: { messages: rows, next } }
              })
          })
        : Effect.fail(
            new InvalidRequest({
              reason: '"ghost" must not be empty or too long, and must not hold control characters',
              field: "ghost"
            })
          )
  })
)
