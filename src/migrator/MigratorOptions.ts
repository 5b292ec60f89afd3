import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { appVersion } from "../platform/config/ProgramLocation.ts"

/** The format of the history tables and of their rows. A newer program brings older formats to its own. */
export const toolVersion = 2

/** The migrator's limits, and what it records about itself. */
export class MigratorOptions extends Context.Reference<MigratorOptions>()("migrator/MigratorOptions", {
  defaultValue: () => ({
    /** How long to wait for another process that migrates the same schema. */
    lockWait: Duration.seconds(60),
    /** `lock_timeout` of a transaction whose revision sets none: how long live traffic may queue behind it. */
    lockTimeout: Duration.seconds(2),
    /** How often a step is attempted that meets a lock timeout or a deadlock. */
    attempts: 5,
    /** The pause before the second attempt; doubles with each further one. */
    firstPause: Duration.millis(500),
    /** Whether a downgrade may destroy rows (`--allow-data-loss`). */
    allowDataLoss: false,
    /** Whether notices of the server are logged, and not only warnings (`--verbose`). */
    verbose: false,
    /** The program's version, recorded with each revision. */
    appVersion
  })
}) {}

export type MigratorOptionsValues = Context.Tag.Service<typeof MigratorOptions>

/** Runs an effect with some of the options replaced. */
export const withMigratorOptions =
  (replaced: Partial<MigratorOptionsValues>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(MigratorOptions, (options) =>
      Effect.provideService(effect, MigratorOptions, { ...options, ...replaced })
    )
