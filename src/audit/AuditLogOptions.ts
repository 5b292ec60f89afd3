import * as Path from "node:path"
import * as Duration from "effect/Duration"
import type { Durabilities } from "../domain/Durability.ts"
import type { SettingsValues } from "../platform/config/Settings.ts"
import { shutdownShares } from "../platform/config/ShutdownShares.ts"
import type { JournalFiles } from "./journal/JournalFiles.ts"

export interface AuditLogOptions {
  /** What answers wait for. */
  readonly durability: Durabilities
  /** Null keeps nothing on disk, which only the durability `memory` allows. */
  readonly journal: JournalSettings | null
  /** How long an answer waits in the modes `fsync` and `commit`. */
  readonly commitDeadline: Duration.DurationInput
  /** Events in memory. */
  readonly queueCapacity: number
  /** Rows in one transaction at most. */
  readonly batchSize: number
  /** How long the first event waits for more events. */
  readonly linger: Duration.DurationInput
  readonly onFull: "refuse" | "shed"
  /** For the whole shutdown: writing what is queued, giving up what cannot be written, signing off. */
  readonly shutdownDeadline: Duration.DurationInput
}

export interface JournalSettings {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  /** Bytes of this process's journal and of the journals that it recovers. */
  readonly maxBytes: number
  /** How often the journal is synced to the disk where no answer waits for that. */
  readonly flushInterval: Duration.DurationInput
  readonly files?: JournalFiles
}

/** Derives the options of a process's trail from its settings. */
export const auditLogOptions = ({
  audit,
  home,
  shutdownDeadline
}: Pick<SettingsValues, "audit" | "home" | "shutdownDeadline">): AuditLogOptions => ({
  ...audit,
  journal: {
    directory: Path.resolve(home, "journal"),
    maxBytes: audit.journalMaxBytes,
    flushInterval: audit.journalFlushInterval
  },
  shutdownDeadline: Duration.times(shutdownDeadline, shutdownShares.trail)
})
