import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { settings } from "../../../src/app/AllSettings.ts"
import { readSettings } from "../../../src/platform/config/Settings.ts"

/** The settings of every room, read from these variables. */
export const load = (variables: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(readSettings(settings), ConfigProvider.fromMap(new Map(Object.entries(variables))))
