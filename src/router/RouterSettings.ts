import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Setting from "../platform/config/Setting.ts"

const isOrigin = (text: string): boolean =>
  URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text

const routerSettings = Setting.all({
  /** As given: relative to the working directory. */
  modelsPath: Setting.text("ROUTER_MODELS_PATH", { expected: "a YAML file", example: "config/models.yaml" }).pipe(
    Setting.orDefault("config/models.yaml")
  ),
  /** Whether `router.history` keeps the content of messages, besides their existence. */
  storeContent: Setting.flag("ROUTER_STORE_CONTENT", "true"),
  /** Bytes of a chat request's body, also after it was decompressed. */
  maximumBodyBytes: Setting.integer(
    "ROUTER_MAX_BODY_BYTES",
    { min: 64 * 1024, max: 256 * 1024 * 1024 },
    { expected: "a number of bytes from 65536 to 268435456", example: "33554432" }
  ).pipe(Setting.orDefault(8 * 1024 * 1024)),
  maximumMessages: Setting.integer(
    "ROUTER_MAX_MESSAGES",
    { min: 1, max: 100_000 },
    { expected: "a number of messages from 1 to 100000", example: "20000" }
  ).pipe(Setting.orDefault(10_000)),
  /** Origins whose pages may call the router from a browser. */
  corsOrigins: Setting.setting(
    "ROUTER_CORS_ORIGINS",
    { expected: "origins without a path, separated by commas", example: "https://app.example,http://localhost:5173" },
    (given) =>
      Option.liftPredicate(
        given.split(",").map((one) => one.trim()),
        (found): found is Array<string> => found.every(isOrigin)
      )
  ).pipe(Setting.map(Option.getOrElse((): ReadonlyArray<string> => []))),
  /** How long a streamed answer may be silent before its first content: then it begins with comments. */
  keepAlive: Setting.duration("ROUTER_KEEP_ALIVE", { min: "100 millis", max: "1 hour" }, "20s").pipe(
    Setting.orDefault(Duration.seconds(20))
  )
})

export class RouterSettings extends Context.Tag("router/RouterSettings")<
  RouterSettings,
  Setting.Value<typeof routerSettings>
>() {
  static readonly config = routerSettings
}
