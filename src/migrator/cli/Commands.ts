import * as Command from "@effect/cli/Command"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { Settings, type SettingsValues } from "../../platform/config/Settings.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { checkCommand, testCommand, verifyCommand } from "./CheckCommands.ts"
import { Databases, MigratedServices, mergeOptions, migrateRoot } from "./GlobalOptions.ts"
import { currentCommand, historyCommand, showCommand, statusCommand } from "./InspectionCommands.ts"
import { downgradeCommand, redoCommand, toHead, upgrade, upgradeCommand } from "./MigrateCommands.ts"
import { newCommand } from "./NewCommand.ts"
import { renumberCommand, repairCommand, stampCommand, unlockCommand } from "./RecoveryCommands.ts"

/** The settings with one database for every service and purpose. */
const everywhere = (settings: SettingsValues, url: Redacted.Redacted): SettingsValues => {
  const urls = Record.map(settings.databaseUrls, () => Option.some(url))
  return { ...settings, databaseUrls: urls, migrationDatabaseUrls: urls }
}

/**
 * `migrate` and its commands, to be mounted under the program's root. `all` are the services of the program in start order.
 * `databaseFor` opens the databases of the services that a command works on; commands without a database do not call it.
 */
export const migrateCommand = <E extends CommandError, R>(
  all: ReadonlyArray<MigratedService>,
  databaseFor: (services: ReadonlyArray<ServiceName>) => Layer.Layer<Database, E, R>
) => {
  const databases = Effect.map(Effect.context<R | Settings>(), (context) =>
    Databases.of({
      open: (services, url) =>
        Layer.provide(
          databaseFor(services),
          Layer.succeedContext(
            Option.match(url, {
              onNone: () => context,
              onSome: (url) => Context.add(context, Settings, everywhere(Context.get(context, Settings), url))
            })
          )
        )
    })
  )
  return migrateRoot.pipe(
    Command.withHandler((outer) => upgrade(mergeOptions("upgrade", all, outer, outer), toHead)),
    Command.withDescription(
      helpOf(
        "Upgrades the schemas of the services to head, like `migrate upgrade`. The options below may come before a " +
          "command's name or after it.",
        [
          "migrate",
          "migrate status",
          "migrate upgrade --dry-run",
          "migrate downgrade -1 --service guardian",
          "migrate --service router test"
        ]
      )
    ),
    Command.withSubcommands([
      upgradeCommand,
      downgradeCommand,
      statusCommand,
      currentCommand,
      historyCommand,
      showCommand,
      newCommand,
      checkCommand,
      verifyCommand,
      testCommand,
      redoCommand,
      repairCommand,
      stampCommand,
      renumberCommand,
      unlockCommand
    ]),
    Command.provideEffect(Databases, () => databases),
    Command.provideEffect(MigratedServices, () => Effect.succeed(all))
  )
}
