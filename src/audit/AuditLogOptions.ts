import * as Path from "node:path"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Durabilities } from "../domain/Durability.ts"
import type { SettingsValues } from "../platform/config/Settings.ts"
import { shutdownShares } from "../platform/config/ShutdownShares.ts"
import type { JournalFiles } from "./journal/JournalFiles.ts"

export interface AuditLogOptions {
  /** What answers wait for. */
  readonly durability: Durabilities
  /** Where journals are; null keeps nothing on disk, which only the durability `memory` can do with. */
  readonly journal: JournalSettings | null
  /** How long an answer waits in the modes `fsync` and `commit`. */
  readonly commitDeadline: Duration.DurationInput
  /** Events in memory. */
  readonly queueCapacity: number
  /** Rows in one transaction at most. */
  readonly batchSize: number
  /** How long a first event waits for company. */
  readonly linger: Duration.DurationInput
  readonly onFull: "refuse" | "shed"
  /** For the whole end: writing what is queued, giving up what cannot be written, signing off. */
  readonly shutdownDeadline: Duration.DurationInput
  /** Told at the end when `count` events, taken and answered, are nowhere but in this process, or nobody could find out. */
  readonly onUnwritten?: (count: number) => Effect.Effect<void>
}

export interface JournalSettings {
  readonly directory: string
  /** Bytes, of the own journal and those that are taken over. */
  readonly maxBytes: number
  /** How often it is written through to the disk where no answer waits for that. */
  readonly flushInterval: Duration.DurationInput
  readonly files?: JournalFiles
}

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
