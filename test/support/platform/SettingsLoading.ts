import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { Settings, type SettingsRefused, type SettingsValues } from "../../../src/platform/config/Settings.ts"

export const load = (variables: Readonly<Record<string, string>>): Effect.Effect<SettingsValues, SettingsRefused> =>
  Settings.pipe(
    Effect.provide(Settings.layer),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
  )
