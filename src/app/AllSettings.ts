import type * as FileSystem from "@effect/platform/FileSystem"
import * as PlatformConfigProvider from "@effect/platform/PlatformConfigProvider"
import * as Arr from "effect/Array"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditSettings } from "../audit/AuditSettings.ts"
import { ClientSettings } from "../clients/ClientSettings.ts"
import { GatekeeperSettings } from "../gatekeeper/GatekeeperSettings.ts"
import { TokenSettings } from "../gatekeeper/tokens/TokenSettings.ts"
import { GuardianSettings } from "../guardian/GuardianSettings.ts"
import * as Setting from "../platform/config/Setting.ts"
import { readSettings, Settings, SettingsRefused } from "../platform/config/Settings.ts"
import { isMissing, reasonOf } from "../platform/os/FileTrust.ts"
import { requireTrustedWay } from "../platform/os/NamedFile.ts"
import { DatabaseAuth } from "../platform/postgres/AuthenticatedClient.ts"
import { RouterSettings } from "../router/RouterSettings.ts"

const rooms = {
  process: Settings.config,
  clients: ClientSettings.config,
  audit: AuditSettings.config,
  gatekeeper: GatekeeperSettings.config,
  tokens: TokenSettings.config,
  guardian: GuardianSettings.config,
  router: RouterSettings.config
}

export const settings = Setting.all(rooms)

/** Reads every room's settings at once, so that one refusal names all variables that are refused. */
export const layer = Layer.effectContext(
  Effect.map(readSettings(settings), ({ audit, clients, gatekeeper, guardian, process, router, tokens }) =>
    Context.make(Settings, process).pipe(
      Context.add(DatabaseAuth, process.databaseAuth),
      Context.add(ClientSettings, clients),
      Context.add(AuditSettings, audit),
      Context.add(GatekeeperSettings, gatekeeper),
      Context.add(TokenSettings, tokens),
      Context.add(GuardianSettings, guardian),
      Context.add(RouterSettings, router)
    )
  )
)

/** Every variable that the program reads, each once, with the first room that reads it: for the generated reference. */
export const variables: ReadonlyArray<Setting.Variable & { readonly room: string }> = Arr.dedupeWith(
  Object.entries(rooms).flatMap(([room, { variables }]) => variables.map((variable) => ({ ...variable, room }))),
  (one, other) => one.name === other.name
)

/**
 * Reads settings from the environment, then from a `.env` file. A file that cannot be read is refused, since other settings were
 * intended; so is one that another account can change.
 */
export const dotEnv = (path: string): Layer.Layer<never, SettingsRefused, FileSystem.FileSystem> =>
  Effect.tryPromise({ try: () => requireTrustedWay(path), catch: (cause) => cause }).pipe(
    Effect.zipRight(PlatformConfigProvider.fromDotEnv(path)),
    Effect.map((file) => Layer.setConfigProvider(ConfigProvider.orElse(ConfigProvider.fromEnv(), () => file))),
    Effect.catchAll((cause) =>
      isMissing(cause)
        ? Effect.succeed(Layer.empty)
        : new SettingsRefused({ problems: [{ name: path, problem: `cannot be read: ${reasonOf(cause)}` }] })
    ),
    Layer.unwrapEffect
  )
