import * as Context from "effect/Context"
import * as Setting from "../platform/config/Setting.ts"

interface RouterSettingsValues {
  /** As given: relative to the working directory. */
  readonly modelsPath: string
  /** Whether `router.history` keeps the content of messages, besides their existence. */
  readonly storeContent: boolean
}

const routerSettings: Setting.Setting<RouterSettingsValues> = Setting.all({
  modelsPath: Setting.text("ROUTER_MODELS_PATH", { expected: "a YAML file", example: "config/models.yaml" }).pipe(
    Setting.orDefault("config/models.yaml")
  ),
  storeContent: Setting.flag("ROUTER_STORE_CONTENT", "true")
})

/** The router's own settings. */
export class RouterSettings extends Context.Tag("router/RouterSettings")<RouterSettings, RouterSettingsValues>() {
  static readonly config = routerSettings
}
