import * as Path from "node:path"
import * as Duration from "effect/Duration"
import type { SettingsValues } from "../platform/config/Settings.ts"
import { shutdownShares } from "../platform/config/ShutdownShares.ts"
import type { AuditLogOptions } from "./AuditLogOptions.ts"

/** Told at the end how many events were answered and are not in the database. */
export type OnUnwritten = NonNullable<AuditLogOptions["onUnwritten"]>

/** The trail of a process, as its settings have it. */
export const auditLogOptions = (
  { audit, home, shutdownDeadline }: Pick<SettingsValues, "audit" | "home" | "shutdownDeadline">,
  onUnwritten: OnUnwritten
): AuditLogOptions => ({
  ...audit,
  journal: {
    directory: Path.resolve(home, "journal"),
    maxBytes: audit.journalMaxBytes,
    flushInterval: audit.journalFlushInterval
  },
  shutdownDeadline: Duration.times(shutdownDeadline, shutdownShares.trail),
  onUnwritten
})
