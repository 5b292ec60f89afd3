import * as Context from "effect/Context"
import * as Setting from "../platform/config/Setting.ts"

const routerSettings = Setting.all({
  /** As given: relative to the working directory. */
  modelsPath: Setting.text("ROUTER_MODELS_PATH", { expected: "a YAML file", example: "config/models.yaml" }).pipe(
    Setting.orDefault("config/models.yaml")
  ),
  /** Whether `router.history` keeps the content of messages, besides their existence. */
  storeContent: Setting.flag("ROUTER_STORE_CONTENT", "true")
})

export class RouterSettings extends Context.Tag("router/RouterSettings")<
  RouterSettings,
  Setting.Value<typeof routerSettings>
>() {
  static readonly config = routerSettings
}
