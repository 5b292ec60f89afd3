import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Setting from "../platform/config/Setting.ts"
import { readSettings } from "../platform/config/Settings.ts"

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
  storeContent: Setting.choice("ROUTER_STORE_CONTENT", ["true", "false"], "true").pipe(
    Setting.orDefault("false"),
    Setting.map((given) => given === "true")
  )
})

/** The router's own settings. */
export class RouterSettings extends Context.Tag("router/RouterSettings")<RouterSettings, RouterSettingsValues>() {
  static readonly config = routerSettings
  static readonly layer = Layer.effect(RouterSettings, readSettings(routerSettings))
}
