import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Settings, shutdownShares } from "../platform/config/Settings.ts"
import type { AuditLogOptions } from "./AuditLogOptions.ts"
import { AuditSettings } from "./AuditSettings.ts"

/** Told at the end how many events were answered and are not in the database. */
export type OnUnwritten = NonNullable<AuditLogOptions["onUnwritten"]>

/** The trail of a process, as its settings have it. */
export const auditLogOptions = (
  onUnwritten: OnUnwritten
): Effect.Effect<AuditLogOptions, never, Settings | AuditSettings> =>
  Effect.gen(function* () {
    const audit = yield* AuditSettings
    const { home, shutdownDeadline } = yield* Settings
    return {
      ...audit,
      journal: {
        directory: Path.resolve(home, "journal"),
        maxBytes: audit.journalMaxBytes,
        flushInterval: audit.journalFlushInterval
      },
      shutdownDeadline: Duration.times(shutdownDeadline, shutdownShares.trail),
      onUnwritten
    }
  })
