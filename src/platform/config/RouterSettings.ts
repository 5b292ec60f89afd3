import * as Config from "effect/Config"
import * as Setting from "./Setting.ts"

export interface RouterSettings {
  /** As given: relative to the working directory. */
  readonly modelsPath: string
  /** Whether `router.history` keeps what was said, besides that it was. */
  readonly storeContent: boolean
}

export const routerSettings: Config.Config<RouterSettings> = Config.all({
  modelsPath: Setting.text("ROUTER_MODELS_PATH", { expected: "a YAML file", example: "config/models.yaml" }).pipe(
    Setting.orDefault("config/models.yaml")
  ),
  storeContent: Setting.choice("ROUTER_STORE_CONTENT", ["true", "false"], "true").pipe(
    Setting.orDefault("false"),
    Config.map((given) => given === "true")
  )
})
