import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ApiError, InvalidRequest } from "../contracts/ApiError.ts"
import { encodeCursor } from "../contracts/Fields.ts"
import * as Api from "../contracts/router/RouterApi.ts"
import { hasControlCharacter } from "../domain/Text.ts"
import { History } from "./history/History.ts"
import { type Catalog, type Ghost, historyResource, maximumResourceLength, type Shell } from "./models/Catalog.ts"
import { Providers } from "./providers/Providers.ts"
import { audited } from "./route/RouterAccess.ts"

class ModelNotFound extends ApiError("ModelNotFound", "model_not_found") {}

/** `GET /v1/models` and `GET /v1/models/{id}`: as OpenAI's, with tiers, ghosts, and which of them can be asked now. */
export const modelRoutes = (catalog: Catalog) =>
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

    const shellRow = (shell: Shell) => row(shell.name, "shell", shell)
    // A ghost's tier and provider are those of the shell that it prefers.
    const ghostRow = (ghost: Ghost) => row(ghost.name, "ghost", ghost.shells[0])

    const list = Effect.gen(function* () {
      const shells = yield* Effect.forEach(catalog.shells.values(), shellRow)
      const ghosts = yield* Effect.forEach(catalog.ghosts.values(), ghostRow)
      return { body: { object: "list" as const, data: [...shells, ...ghosts] } }
    })

    const find = (id: string) => {
      const shell = catalog.shells.get(id)
      const ghost = catalog.ghosts.get(id)
      if (shell !== undefined) return Effect.map(shellRow(shell), (body) => ({ body }))
      if (ghost !== undefined) return Effect.map(ghostRow(ghost), (body) => ({ body }))
      const reason = `there is no model ${JSON.stringify(id)}; GET /v1/models lists them`
      return Effect.fail(new ModelNotFound({ reason, field: "model" }))
    }

    const reading = { event: "models.read", action: "read", fallbackResource: "models" } as const
    yield* audited(Api.models, {
      ...reading,
      target: () => Effect.succeed({ resource: "models", run: () => list })
    })
    yield* audited(Api.model, {
      ...reading,
      target: ({ path: { id } }) => Effect.succeed({ resource: "models", run: () => find(id) })
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
