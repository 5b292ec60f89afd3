import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { openSchema } from "../apply/Migrate.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"
import { revisionName } from "../files/Revision.ts"
import { readEvents } from "../history/MigrationHistory.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

/** Reads the applied revisions of a schema, by number. */
const readHistory = Effect.fn("Migrator.history")(function* (service: MigratedService) {
  const { entries, session } = yield* openSchema(service)
  const revisions = entries.map((entry) => ({
    revision: revisionName(entry.revision, entry.slug),
    kind: entry.kind,
    phase: entry.phase,
    state: entry.state,
    startedAt: entry.started_at.toISOString(),
    finishedAt: entry.finished_at?.toISOString() ?? null,
    durationMs: entry.duration_ms,
    appliedBy: entry.applied_by,
    appVersion: entry.app_version,
    upChecksum: entry.up_checksum
  }))
  return { service: service.name, address: session.address, revisions }
}, Effect.scoped)

/** Reads every event, including those of reverted revisions. */
const readLog = Effect.fn("Migrator.events")(function* (service: MigratedService) {
  const { session, snapshot } = yield* openSchema(service)
  const found = Option.isNone(snapshot)
    ? []
    : yield* readEvents(session.connection, service.name).pipe(Effect.mapError(session.refuse("reading schema_event")))
  const events = found.map(({ app_version, at, done_by, event, reason, revision, slug }) => ({
    at: at.toISOString(),
    event,
    revision: revision === null ? null : revisionName(revision, slug ?? ""),
    reason,
    doneBy: done_by,
    appVersion: app_version
  }))
  return { service: service.name, address: session.address, events }
}, Effect.scoped)

type ShownHistory = Effect.Effect.Success<ReturnType<typeof readHistory>>
type ShownEvents = Effect.Effect.Success<ReturnType<typeof readLog>>

const renderHistory = (histories: ReadonlyArray<ShownHistory>, colours: boolean): string =>
  renderTable(
    ["service", "revision", "kind", "state", "applied at", "took", "by", "version", "up sha-256"],
    histories.flatMap(({ revisions, service }) =>
      revisions.map(
        (one): ReadonlyArray<Cell> => [
          { text: service },
          { text: one.revision },
          { text: one.kind },
          { text: one.state, tone: one.state === "applied" ? "good" : "bad" },
          { text: one.finishedAt ?? "-" },
          { text: one.durationMs === null ? "-" : `${Math.round(one.durationMs)} ms` },
          { text: one.appliedBy },
          { text: one.appVersion },
          { text: one.upChecksum.slice(0, 12), tone: "quiet" }
        ]
      )
    ),
    colours
  )

const renderLogs = (logs: ReadonlyArray<ShownEvents>, colours: boolean): string =>
  renderTable(
    ["service", "at", "event", "revision", "by", "version", "reason"],
    logs.flatMap(({ events, service }) =>
      events.map(
        (one): ReadonlyArray<Cell> => [
          { text: service },
          { text: one.at },
          { text: one.event, ...(one.event === "failed" ? { tone: "bad" as const } : {}) },
          { text: one.revision ?? "-" },
          { text: one.doneBy },
          { text: one.appVersion },
          { text: (one.reason ?? "").split("\n")[0] ?? "" }
        ]
      )
    ),
    colours
  )

const events = flag("events").pipe(
  Options.withDescription("Every event, with failures and reverts, instead of the applied revisions.")
)

export const historyCommand = Command.make("history", { ...globalOptions, events }, ({ events, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    events
      ? onDatabase(options, { command: "history", effects: "reads", work: readLog, render: renderLogs })
      : onDatabase(options, { command: "history", effects: "reads", work: readHistory, render: renderHistory })
  )
).pipe(
  Command.withDescription(
    helpOf("Lists the applied revisions of each schema: when, by which role, by which version.", [
      "migrate history",
      "migrate history --events --service gatekeeper",
      "migrate history --json"
    ])
  )
)
