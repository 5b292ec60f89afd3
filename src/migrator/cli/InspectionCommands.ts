import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { ServiceVerdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { quotedWord } from "../../platform/cli/Flags.ts"
import { type Cell, tableOf } from "../../platform/cli/Table.ts"
import { openSchema } from "../apply/Migrate.ts"
import { statementsOf } from "../apply/Script.ts"
import { terminated } from "../apply/Transcript.ts"
import { downOf, revisionName, type Section } from "../files/Revision.ts"
import type { MigratedService } from "../files/RevisionSet.ts"
import { readEvents } from "../history/MigrationHistory.ts"
import { type RevisionStatus, readStatus, revisionStatuses, type Status } from "../inspect/Status.ts"
import { type RevisionName, unknownRevision } from "../plan/PlanRefusal.ts"
import { parseDowngrade, Target } from "../plan/Target.ts"
import { describedFlag, needsOneService, onDatabase, subcommand, withProblemText } from "./GlobalOptions.ts"

const toneOf: Readonly<Record<RevisionStatus["state"], NonNullable<Cell["tone"]>>> = {
  applied: "good",
  pending: "warn",
  late: "bad",
  applying: "bad",
  reverting: "bad",
  missing: "warn",
  edited: "bad"
}

const nameOf = ({ state, steps }: RevisionStatus): string =>
  steps !== null
    ? `partly applied (${state}, ${steps.done} of ${steps.total} statements)`
    : state === "missing"
      ? "applied, file missing"
      : state === "edited"
        ? "applied, edited since"
        : state

/** Summarises a service: `at head 0002_b`, or what is missing: `2 pending, 1 late`. */
export const summaryOf = ({ address, current, head, problem, revisions, service }: Status): string => {
  const counted = (["pending", "late", "missing", "edited", "applying", "reverting"] as const).flatMap((state) => {
    const found = revisions.filter((one) => one.state === state).length
    return found === 0 ? [] : [`${found} ${state}`]
  })
  const isHalfway = revisions.some(({ steps }) => steps !== null)
  const where = current === head ? `at head ${head}` : `at ${current}; head is ${head}`
  const what = counted.length === 0 ? "" : `; ${counted.join(", ")}`
  const canUpgrade = problem === null && current !== head && counted.length > 0
  const next = isHalfway || canUpgrade ? `: pnpm migrate --service ${service}${isHalfway ? " repair" : ""}` : ""
  return `${service}: ${where}${what}${next} (${address})`
}

const renderRevisions = tableOf(
  ["service", "revision", "phase", "state", "applied at", "took"],
  ({ revisions, service }: Status) =>
    revisions.map((one) => [
      service,
      one.revision,
      one.phase,
      { text: nameOf(one), tone: toneOf[one.state] },
      one.appliedAt ?? "-",
      one.durationMs === null ? "-" : `${Math.round(one.durationMs)} ms`
    ])
)

/** Formats every revision of every service, the newest last, then a line for each service. */
const renderStatus = (statuses: ReadonlyArray<Status>, colours: boolean): string =>
  `${renderRevisions(statuses, colours)}\n\n${statuses.map(summaryOf).join("\n")}`

const readCurrent = (service: MigratedService) =>
  Effect.map(readStatus(service), ({ current, head }) => {
    return { service: service.name, current, head, atHead: current === head }
  })

type Current = Effect.Effect.Success<ReturnType<typeof readCurrent>>

const renderCurrent = tableOf(["service", "current", "head"], ({ atHead, current, head, service }: Current) => [
  [service, { text: current, tone: atHead ? "good" : "warn" }, atHead ? "(head)" : head]
])

/** Reports a half-way revision with its exit code, although an upgrade may be able to continue it. */
const halfwayOf = (service: ServiceName, revisions: ReadonlyArray<RevisionStatus>): ServiceVerdict | null => {
  const halfway = revisions.find(({ steps }) => steps !== null)
  const message =
    `${service}: ${halfway?.revision} is partly applied. Another process may be applying it (pnpm migrate unlock shows ` +
    `that); if not, see the remedies: pnpm migrate --service ${service} repair`
  return halfway === undefined ? null : { message, exitCode: ExitCode.partlyApplied }
}

export const statusCommand = subcommand(
  "status",
  {},
  [
    "Lists every revision and its state: applied, pending, late, partly applied, edited, missing. Takes no lock. " +
      "Pending revisions alone are not a failure.",
    ["migrate status", "migrate status --service router --json"]
  ],
  (options) =>
    onDatabase(options, {
      effects: "reads",
      work: readStatus,
      render: renderStatus,
      toJson: withProblemText,
      verdict: ({ problem, revisions, service }) => problem ?? halfwayOf(service, revisions)
    })
)

const checkHead = describedFlag("check-head", `End with ${ExitCode.pending} unless every service is at head.`)

export const currentCommand = subcommand(
  "current",
  { checkHead },
  ["Prints the current revision of each service.", ["migrate current", "migrate current --check-head"]],
  (options, { checkHead }) =>
    onDatabase(options, {
      effects: "reads",
      work: readCurrent,
      render: renderCurrent,
      verdict: ({ atHead, current, head, service }) => {
        const message = `${service} is at ${current}, not at head ${head}. To go there: pnpm migrate --service ${service} upgrade`
        return checkHead && !atHead ? { message, exitCode: ExitCode.pending } : null
      }
    })
)

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

const renderHistory = tableOf(
  ["service", "revision", "kind", "state", "applied at", "took", "by", "version", "up sha-256"],
  ({ revisions, service }: ShownHistory) =>
    revisions.map((one) => [
      service,
      one.revision,
      one.kind,
      { text: one.state, tone: one.state === "applied" ? "good" : "bad" },
      one.finishedAt ?? "-",
      one.durationMs === null ? "-" : `${Math.round(one.durationMs)} ms`,
      one.appliedBy,
      one.appVersion,
      { text: one.upChecksum.slice(0, 12), tone: "quiet" }
    ])
)

const renderLogs = tableOf(
  ["service", "at", "event", "revision", "by", "version", "reason"],
  ({ events, service }: ShownEvents) =>
    events.map((one) => [
      service,
      one.at,
      one.event === "failed" ? { text: one.event, tone: "bad" } : one.event,
      one.revision ?? "-",
      one.doneBy,
      one.appVersion,
      (one.reason ?? "").split("\n")[0] ?? ""
    ])
)

const events = describedFlag("events", "Every event, with failures and reverts, instead of the applied revisions.")

export const historyCommand = subcommand(
  "history",
  { events },
  [
    "Lists the applied revisions of each schema: when, by which role, by which version.",
    ["migrate history", "migrate history --events --service gatekeeper", "migrate history --json"]
  ],
  (options, { events }) =>
    events
      ? onDatabase(options, { effects: "reads", work: readLog, render: renderLogs })
      : onDatabase(options, { effects: "reads", work: readHistory, render: renderHistory })
)

/** Reads one revision: its file and its history row. */
const show = Effect.fn("Migrator.show")(function* (migrated: MigratedService, { number, slug }: RevisionName) {
  const service = migrated.name
  const { entries, set } = yield* openSchema(migrated)
  const isNamed = (one: { readonly slug: string }) => slug === null || slug === one.slug
  const file = set.revisions.find((one) => one.number === number && isNamed(one))
  const entry = entries.find((one) => one.revision === number && isNamed(one))
  const known = file ?? entry
  if (known === undefined) return yield* unknownRevision(set, { number, slug })
  const revision = revisionName(number, known.slug)
  const statements = (section: Section | null | undefined, direction: "up" | "down" | "verify") =>
    file?.kind === "sql" && section ? statementsOf(file.file, section, direction) : Effect.succeed(null)
  return {
    service,
    revision,
    file: file?.file ?? null,
    kind: known.kind,
    phase: known.phase,
    transaction: file?.up.transaction ?? null,
    state: revisionStatuses(set, entries).find((one) => one.revision === revision)?.state ?? "pending",
    appliedAt: entry?.finished_at?.toISOString() ?? null,
    appliedBy: entry?.applied_by ?? null,
    stepsDone: entry?.steps_done ?? null,
    stepsTotal: entry?.steps_total ?? null,
    upChecksum: file?.up.checksum ?? null,
    appliedChecksum: entry?.up_checksum ?? null,
    irreversible: file?.reversal._tag === "Irreversible" ? file.reversal.reason : (entry?.irreversible_reason ?? null),
    up: yield* statements(file?.up, "up"),
    down: yield* statements(file && downOf(file), "down"),
    verify: yield* statements(file && Option.getOrNull(file.verify), "verify"),
    storedDown: entry?.down_script ?? null
  }
}, Effect.scoped)

type ShownRevision = Effect.Effect.Success<ReturnType<typeof show>>

const part = (title: string, statements: ShownRevision["up"]): string =>
  statements === null
    ? ""
    : `\n\n-- ${title}\n${statements.map(({ line, text }) => `-- line ${line}\n${terminated(text)}`).join("\n")}`

const renderShown = (shown: ReadonlyArray<ShownRevision>): string =>
  shown
    .map((one) => {
      const halfway = one.state === "applying" || one.state === "reverting"
      const facts: ReadonlyArray<readonly [string, string | null]> = [
        ["revision", `${one.service} ${one.revision}`],
        ["file", one.file ?? "missing"],
        ["kind", one.kind],
        ["phase", one.phase],
        ["runs", one.transaction === null ? null : one.transaction ? "in one transaction" : "without a transaction"],
        ["state", one.state],
        ["statements done", halfway ? `${one.stepsDone} of ${one.stepsTotal}` : null],
        ["applied", one.appliedAt === null ? null : `${one.appliedAt} by ${one.appliedBy}`],
        ["sha-256 of up", one.upChecksum],
        ["as applied", one.appliedChecksum === one.upChecksum ? null : one.appliedChecksum],
        ["irreversible", one.irreversible]
      ]
      const lines = facts.flatMap(([name, value]) => (value === null ? [] : [`${`${name}:`.padEnd(17)}${value}`]))
      const stored = one.storedDown === null ? "" : `\n\n-- down, as stored in the database\n${one.storedDown}`
      return `${lines.join("\n")}${part("up", one.up)}${part("down, as in the file", one.down)}${part("verify", one.verify)}${stored}`
    })
    .join("\n\n")

const revision = Args.text({ name: "revision" }).pipe(
  Args.withDescription("A number or a full name, such as 2 or 0002_add_reason."),
  Args.mapEffect((text) => {
    const target = Option.getOrUndefined(parseDowngrade(text))
    if (target?._tag === "DownTo" && target.number > 0) return Effect.succeed<RevisionName>(target)
    const what = target === undefined ? `${quotedWord(text)} is not a revision` : `${text} is not a single revision`
    return Effect.fail(HelpDoc.p(`${what}; expected one such as 2 or 0002_add_reason`))
  })
)

export const showCommand = subcommand(
  "show",
  { revision },
  [
    "Shows one revision: file, state, checksums, statements, and the down script that the database keeps.",
    ["migrate show --service gatekeeper 1", "migrate show --service router 0002_add_reason --json"]
  ],
  (options, { revision }) =>
    onDatabase(options, {
      effects: "reads",
      refusal: needsOneService(options, Target.UpTo(revision)),
      work: (service) => show(service, revision),
      render: renderShown
    })
)
