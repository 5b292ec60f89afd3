import type * as FileSystem from "@effect/platform/FileSystem"
import * as PlatformConfigProvider from "@effect/platform/PlatformConfigProvider"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SettingsRefused } from "../platform/config/Settings.ts"

/**
 * Reads settings from the environment, then from a `.env` file if there is one. A file that exists and cannot be read is refused:
 * without it the program would start with other settings than intended.
 */
export const dotEnv = (path: string): Layer.Layer<never, SettingsRefused, FileSystem.FileSystem> =>
  PlatformConfigProvider.fromDotEnv(path).pipe(
    Effect.map((file) => Layer.setConfigProvider(ConfigProvider.orElse(ConfigProvider.fromEnv(), () => file))),
    Effect.catchAll((error) =>
      error._tag === "SystemError" && error.reason === "NotFound"
        ? Effect.succeed(Layer.empty)
        : Effect.fail(new SettingsRefused({ problems: [{ name: path, problem: `cannot be read: ${error.message}` }] }))
    ),
    Layer.unwrapEffect
  )
