import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "../../platform/config/Settings.ts"
import type { Catalog } from "./Catalog.ts"
import { loadModels } from "./ModelsFile.ts"

/** What `models.yaml` said at the start. One value, so that whoever asks for it before a port opens reads it for all. */
export class Models extends Context.Tag("router/models/Models")<Models, Catalog>() {
  static readonly layer = Layer.effect(
    Models,
    Effect.flatMap(Settings, ({ router }) => loadModels(router.modelsPath))
  )
}
