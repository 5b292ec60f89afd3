import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import { appVersion } from "../platform/config/AppVersion.ts"

/** The form of the history tables and of their rows. A later form migrates earlier ones to itself. */
export const toolVersion = 2

/** How long the migrator waits, and for what. */
export class MigratorOptions extends Context.Reference<MigratorOptions>()("migrator/MigratorOptions", {
  defaultValue: () => ({
    /** For another process that migrates the same schema. */
    lockWait: Duration.seconds(60),
    /** `lock_timeout` of a transaction whose revision names none: how long live traffic may queue behind it. */
    lockTimeout: Duration.seconds(2),
    /** Of a revision that meets a lock timeout or a deadlock. */
    attempts: 5,
    /** Before the second attempt; doubles. */
    firstPause: Duration.millis(500),
    /** Whether a downgrade may drop rows that are there (`--allow-data-loss`). */
    allowDataLoss: false,
    /** Recorded with each revision. */
    appVersion
  })
}) {}

export type MigratorOptionsValues = Context.Tag.Service<typeof MigratorOptions>
