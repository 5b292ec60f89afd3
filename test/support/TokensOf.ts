import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AllSettings from "../../src/app/AllSettings.ts"
import { Tokens } from "../../src/gatekeeper/tokens/Tokens.ts"

/** Verifies tokens by these settings, until the scope ends: the ghost, else why not. */
export const tokensOf = (variables: Record<string, string>) =>
  Layer.build(
    Tokens.layer.pipe(
      Layer.provide(
        AllSettings.layer.pipe(
          Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
        )
      ),
      Layer.provide(NodeContext.layer)
    )
  ).pipe(
    Effect.map((context) => {
      const service = Context.get(context, Tokens)
      return (token: string) =>
        Effect.map(Effect.either(service.verify(`Bearer ${token}`)), (result) =>
          result._tag === "Right" ? result.right.ghostId : `${result.left._tag}: ${result.left.reason}`
        )
    })
  )
