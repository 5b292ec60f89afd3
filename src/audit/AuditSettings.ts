import * as Path from "node:path"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AnsweredResult, type Durabilities, Durability, isJournaled } from "../domain/Durability.ts"
import * as Setting from "../platform/config/Setting.ts"
import { readSettings, Settings, shutdownShares } from "../platform/config/Settings.ts"
import { reasonOf } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"
import { JournalUnusable } from "./journal/Journal.ts"
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
  /** The failures of callers without a valid identity that get a row each. */
  readonly failures: FailureOptions
  /** For the whole shutdown: writing what is queued, giving up what cannot be written, signing off. */
  readonly shutdownDeadline: Duration.DurationInput
}

export interface FailureOptions {
  /** In a second, of one IPv4 address or IPv6 /64, and of all. Five times as many may come at once. */
  readonly perAddress: number
  readonly inAll: number
  /** Addresses and CIDR blocks. */
  readonly trustedProxies: ReadonlyArray<string>
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

/** Without a journal, memory is all there is; with one, events that do not fit into memory are read back from the file. */
const defaultCapacity = (durability: Durabilities): number => (isJournaled(durability) ? 8_192 : 65_536)

/** `DENIED=fsync,UNAUTHENTICATED=fsync`. */
const parseByResult = (given: string): Option.Option<Durabilities["byResult"]> =>
  Option.map(
    Option.all(
      given.split(",").map((part) => {
        const [result, durability, ...rest] = part.split("=").map((word) => word.trim())
        const known = AnsweredResult.literals.find((one) => one === result?.toUpperCase())
        const mode = Durability.literals.find((one) => one === durability?.toLowerCase())
        return known === undefined || mode === undefined || rest.length > 0
          ? Option.none()
          : Option.some([known, mode] as const)
      })
    ),
    Object.fromEntries
  )

const durability = Setting.all({
  default: Setting.choice("AUDIT_DURABILITY", Durability.literals, "journal").pipe(Setting.orDefault("journal")),
  byResult: Setting.setting(
    "AUDIT_DURABILITY_BY_RESULT",
    {
      expected: `${AnsweredResult.literals.join(", ")} with one of ${Durability.literals.join(", ")} each, separated by commas`,
      example: "DENIED=fsync,UNAUTHENTICATED=fsync"
    },
    parseByResult
  ).pipe(Setting.orDefault({}))
})

const failuresASecond = (name: string, fallback: number) =>
  Setting.integer(
    name,
    { min: 1, max: 1_000_000 },
    { expected: "a number of failures a second from 1 to 1000000", example: String(fallback) }
  ).pipe(Setting.orDefault(fallback))

/** The options as settings: the journal's directory and the share of the shutdown come from the process. */
const auditSettings = Setting.all({
  durability,
  journalMaxBytes: Setting.bytes(
    "AUDIT_JOURNAL_MAX_BYTES",
    { min: 64 * 2 ** 10, max: 2 ** 50 },
    { expected: "a size from 64KiB to 1024TiB", example: "4GiB" }
  ).pipe(Setting.orDefault(4 * 2 ** 30, "4GiB")),
  journalFlushInterval: Setting.duration(
    "AUDIT_JOURNAL_FLUSH_INTERVAL",
    { min: "10 millis", max: "1 minute" },
    "1s"
  ).pipe(Setting.orDefault(Duration.seconds(1))),
  commitDeadline: Setting.duration("AUDIT_COMMIT_DEADLINE", { min: "10 millis", max: "1 minute" }, "2s").pipe(
    Setting.orDefault(Duration.seconds(2))
  ),
  queueCapacity: Setting.integer(
    "AUDIT_QUEUE_CAPACITY",
    { min: 1, max: 10_000_000 },
    { expected: "a number of events from 1 to 10000000", example: "8192" }
  ),
  batchSize: Setting.integer(
    "AUDIT_BATCH_SIZE",
    { min: 1, max: 10_000 },
    { expected: "a number of rows from 1 to 10000", example: "1000" }
  ).pipe(Setting.orDefault(1_000)),
  linger: Setting.duration("AUDIT_LINGER", { min: "0 millis", max: "10 seconds" }, "20ms").pipe(
    Setting.orDefault(Duration.millis(20))
  ),
  failures: Setting.all({
    perAddress: failuresASecond("AUDIT_FAILURES_PER_ADDRESS", 10),
    inAll: failuresASecond("AUDIT_FAILURES_IN_ALL", 100)
  }),
  onFull: Setting.choice("AUDIT_ON_FULL", ["refuse", "shed"], "refuse").pipe(Setting.orDefault("refuse"))
}).pipe(
  Setting.map(({ queueCapacity, ...rest }) => ({
    ...rest,
    queueCapacity: Option.getOrElse(queueCapacity, () => defaultCapacity(rest.durability))
  }))
)

/** How this process keeps its audit trail. */
export class AuditSettings extends Context.Tag("audit/AuditSettings")<
  AuditSettings,
  Config.Config.Success<typeof auditSettings>
>() {
  static readonly config = auditSettings
  static readonly layer = Layer.effect(AuditSettings, readSettings(auditSettings))
}

/** The options of a process's trail, from its settings, with its journal in a home that no other account can change. */
export const auditLogOptions: Effect.Effect<AuditLogOptions, JournalUnusable, Settings | AuditSettings> = Effect.gen(
  function* () {
    const audit = yield* AuditSettings
    const { home, shutdownDeadline, trustedProxies } = yield* Settings
    const directory = Path.resolve(home, "journal")
    yield* Effect.try({
      try: () => PrivateFile.ensureHome(Path.dirname(directory)),
      catch: (cause) => new JournalUnusable({ path: directory, reason: reasonOf(cause) })
    })
    return {
      ...audit,
      failures: { ...audit.failures, trustedProxies },
      journal: {
        directory,
        maxBytes: audit.journalMaxBytes,
        flushInterval: audit.journalFlushInterval
      },
      shutdownDeadline: Duration.times(shutdownDeadline, shutdownShares.trail)
    }
  }
)
