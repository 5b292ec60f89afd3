import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { AuditLogOptions, JournalSettings } from "../../src/audit/AuditSettings.ts"
import { canonicalJson, type HashedRow } from "../../src/audit/encoding/AuditRow.ts"
import type { Counts } from "../../src/audit/journal/CheckpointFile.ts"
import * as Journal from "../../src/audit/journal/Journal.ts"
import { makeDiskQuota } from "../../src/audit/journal/Segments.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import type { Durability } from "../../src/domain/Durability.ts"
import { bootId } from "../../src/platform/os/BootId.ts"
import { rowsOf } from "./AuditEvents.ts"
import { temporaryHome } from "./TemporaryHome.ts"
import { query } from "./Trail.ts"

export const journalFolder = Effect.map(temporaryHome, (home) => Path.join(home, "journal"))

export const journaled = (
  directory: string,
  durability: Durability = "journal",
  journal: Partial<JournalSettings> = {}
): Partial<AuditLogOptions> => ({
  durability: { default: durability, byResult: {} },
  journal: { directory, maxBytes: 64 * 2 ** 20, flushInterval: "1 second", ...journal }
})

/** Directories of incarnations that are there. */
export const journalsIn = (directory: string) =>
  Effect.promise(async () => {
    const names = await Fs.readdir(directory).catch(() => [])
    return names.filter((name) => name !== "quarantine")
  })

export const trailOf = (url: Redacted.Redacted) =>
  Effect.map(query(url, "select id from gatekeeper.audit_trail"), (rows) => String(rows[0]?.["id"]))

export interface LeftBehind {
  readonly source: string
  readonly rows: ReadonlyArray<HashedRow>
  readonly path: string
}

/** A journal as a process leaves it that is killed: `keep` says which of its `number` rows it holds. */
export const leaveJournal = (
  url: Redacted.Redacted,
  directory: string,
  number: number,
  options: {
    readonly keep?: (seq: number) => boolean
    /** What the journal holds of a row; by default what a trail puts there. */
    readonly textOf?: (row: HashedRow) => string
    readonly source?: string
    readonly event?: AuditEvent
    readonly trail?: string
    readonly bootId?: string
    readonly durability?: string
    /** All its rows are settled. */
    readonly settled?: boolean
    readonly counts?: Counts
  } = {}
) =>
  Effect.gen(function* () {
    const source = options.source ?? crypto.randomUUID()
    const rows = rowsOf(number, { source, ...(options.event === undefined ? {} : { event: options.event }) })
    const scope = yield* Scope.make()
    const journal = yield* Journal.open({
      directory,
      identity: {
        trail: options.trail ?? (yield* trailOf(url)),
        source,
        bootId: options.bootId ?? (yield* bootId),
        startedAt: Date.now(),
        host: "host-of-the-dead",
        pid: 4_242,
        durability: options.durability ?? "journal"
      },
      quota: makeDiskQuota(64 * 2 ** 20),
      flushInterval: "1 second"
    }).pipe(Scope.extend(scope))
    const kept = rows.filter((row) => options.keep?.(row.seq) ?? true)
    for (const row of kept) journal.append(row.seq, (options.textOf ?? canonicalJson)(row))
    if (options.settled === true) journal.settle(kept)
    if (options.counts !== undefined) journal.note(options.counts)
    yield* Scope.close(scope, Exit.void)
    const left: LeftBehind = { source, rows: kept, path: journal.path }
    return left
  })
