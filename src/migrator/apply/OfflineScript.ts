import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { cleanSession } from "../apply/Session.ts"
import { checksumOf } from "../files/Markers.ts"
import { loadRevisionSet } from "../files/MigrationFiles.ts"
import { readTree } from "../files/ParseTree.ts"
import { base, type Revision, revisionName } from "../files/Revision.ts"
import { classOf } from "../files/StatementClass.ts"
import { type HistoryEntry, type MigrationHistory, makeMigrationHistory } from "../history/MigrationHistory.ts"
import { MigratorOptions, type MigratorOptionsValues, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import { beginning, type Target } from "../plan/Target.ts"
import { isQuestion, readScript, type Script, setTimeouts } from "./Script.ts"
import { asserted, guard, guardForm, prepare, releaseLock, takeLock } from "./ScriptGuards.ts"
import { makeTranscript, type Transcript } from "./Transcript.ts"

/** A script was asked for that would have to contain a data revision. */
export class RevisionNotRenderable extends Schema.TaggedError<RevisionNotRenderable>()("RevisionNotRenderable", {
  service: ServiceName,
  revision: Schema.String,
  file: Schema.String
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    return (
      `${this.service}: ${this.revision} (${this.file}) reads data, so what it does is known only while it runs: no script can ` +
      "stand for it, and nothing was printed. Render the parts before and after it (--sql <from>:<to>), and run it itself " +
      `with a connection: pnpm migrate --service ${this.service} upgrade ${this.revision}`
    )
  }
}

export interface OfflineScript {
  readonly service: ServiceName
  readonly from: string
  readonly to: string
  readonly steps: ReadonlyArray<{ readonly direction: "up" | "down"; readonly revision: string }>
  readonly script: string
}

/** The history that a database at a revision has, as far as a plan looks at it. */
const entryOf = (revision: Revision): HistoryEntry => ({
  revision: revision.number,
  slug: revision.slug,
  kind: revision.kind,
  phase: revision.phase,
  state: "applied",
  up_checksum: revision.up.checksum,
  down_checksum: revision.reversal._tag === "Down" ? revision.reversal.section.checksum : null,
  down_script: revision.reversal._tag === "Down" ? revision.reversal.section.text : null,
  irreversible_reason: revision.reversal._tag === "Irreversible" ? revision.reversal.reason : null,
  steps_done: 0,
  steps_total: 0,
  steps_begun: 0,
  step_checksums: [],
  progress: {},
  started_at: new Date(0),
  finished_at: null,
  duration_ms: null,
  applied_by: "",
  app_version: "",
  tool_version: toolVersion
})

interface Page extends Transcript {
  readonly service: ServiceName
  readonly history: MigrationHistory
  readonly options: MigratorOptionsValues
}

const send = ({ connection }: Page, text: string) => connection.query(text.replace(/;$/, ""))

/** Assertions as they run in a transaction of a script: a false answer becomes an error. */
const writeVerify = (page: Page, { file, statements }: Script) =>
  Effect.gen(function* () {
    yield* send(page, "savepoint verify")
    yield* send(page, "set local transaction_read_only = on")
    for (const { line, text } of statements) {
      yield* send(page, isQuestion(yield* readTree(text)) ? asserted(text, `${file}:${line}`) : text)
    }
    yield* send(page, "rollback to savepoint verify")
    yield* send(page, "release savepoint verify")
  })

const refOf = (step: Plan.Step) =>
  step._tag === "Apply" ? { revision: step.revision.number, slug: step.revision.slug } : step.entry

const record = (page: Page, step: Plan.Step, script: Script, startedAt: string) =>
  step._tag === "Apply"
    ? page.history.insert(step.revision, "applied", script.statements.length, startedAt)
    : page.history.remove(step.entry.revision)

/** What StepRunner.ts does with a session, written down. */
const writeStep = (page: Page, step: Plan.Step, standing: string, after: string) =>
  Effect.gen(function* () {
    const { connection, history, options, service } = page
    const { file, section } =
      step._tag === "Apply"
        ? { file: step.revision.file, section: step.revision.up }
        : { file: Option.getOrElse(step.file, () => "the stored down script"), section: step.down }
    const script = yield* readScript(file, section, step._tag === "Apply" ? "up" : "down")
    const verify =
      step._tag === "Apply" && Option.isSome(step.revision.verify)
        ? Option.some(yield* readScript(file, step.revision.verify.value, "verify"))
        : Option.none()
    const assertions = Option.match(verify, { onNone: () => Effect.void, onSome: (one) => writeVerify(page, one) })
    const done = history.event(step._tag === "Apply" ? "applied" : "reverted", refOf(step), null)
    const { revision: number } = refOf(step)
    yield* send(page, cleanSession)
    if (section.transaction) {
      return yield* connection.transaction(
        Effect.gen(function* () {
          yield* send(page, guard(service, standing))
          const startedAt = yield* setTimeouts(connection, section, options.lockTimeout)
          for (const { text } of script.statements) yield* send(page, text)
          yield* assertions
          yield* record(page, step, script, startedAt)
          yield* done
        })
      )
    }
    const total = script.statements.length
    const startedAt = yield* setTimeouts(connection, section, "0 millis")
    yield* connection.transaction(
      Effect.zipRight(
        send(page, guard(service, standing)),
        step._tag === "Apply"
          ? history.insert(step.revision, "applying", total, startedAt)
          : history.beginRevert(number, total)
      )
    )
    // A revision that is half-way up or down does not count as applied.
    const meanwhile = guard(service, step._tag === "Apply" ? standing : after)
    const guarded = <A, E, R>(work: Effect.Effect<A, E, R>) =>
      connection.transaction(Effect.zipRight(send(page, meanwhile), work))
    for (const [index, { text }] of script.statements.entries()) {
      const kind = classOf(yield* readTree(text))
      const stepDone = history.stepDone(number, index + 1, total, checksumOf(text))
      if (kind._tag === "Transactional") {
        yield* guarded(Effect.zipRight(send(page, text), stepDone))
        continue
      }
      yield* guarded(history.stepsBegun(number, index + 1))
      yield* send(page, text)
      yield* stepDone
    }
    yield* connection.transaction(
      Effect.gen(function* () {
        yield* send(page, meanwhile)
        yield* assertions
        yield* step._tag === "Apply" ? history.finish(number) : history.remove(number)
        yield* done
      })
    )
  })

const header = (service: ServiceName, from: string, to: string, appVersion: string): string =>
  [
    `-- ${service}: from ${from} to ${to}, rendered by Gravitas ${appVersion}.`,
    "-- Run it whole, in one session, as the role that owns the schema: psql -f <this file>",
    "-- It records what it does as pnpm migrate would, and refuses a schema that is not where it begins.",
    "-- No statement may run after one that failed. The next line tells psql so; for another client take it out, and let",
    "-- that client stop at the first error.",
    "\\set ON_ERROR_STOP on"
  ].join("\n")

/**
 * The statements that bring a service's schema from one revision to another, with the history that a run would leave.
 * Connects to nothing; a data revision in the range is refused before a line is written.
 */
export const renderScript = Effect.fn("Migrator.renderScript")(function* (
  service: ServiceName,
  from: Target,
  to: Target
) {
  const set = yield* loadRevisionSet(service)
  const options = yield* MigratorOptions
  const applied = set.revisions.slice(0, yield* beginning(set, from)).map(entryOf)
  const plan = yield* Plan.make(set, applied, to)
  for (const step of plan.steps) {
    const revision = step._tag === "Apply" ? Option.some(step.revision) : step.revision
    if (Option.isSome(revision) && revision.value.kind === "ts") {
      const { file, number, slug } = revision.value
      return yield* new RevisionNotRenderable({ service, revision: revisionName(number, slug), file })
    }
  }
  const transcript = makeTranscript()
  const page: Page = {
    ...transcript,
    service,
    options,
    history: makeMigrationHistory(service, transcript.connection, options)
  }
  yield* send(page, "set standard_conforming_strings = on")
  yield* send(page, takeLock(service))
  if (plan.current === base) {
    const tables = makeTranscript()
    yield* makeMigrationHistory(service, tables.connection, options).bringToForm(0)
    yield* send(page, prepare(service, tables.lines()))
  }
  yield* send(page, guardForm(service))
  let standing = plan.current
  for (const step of plan.steps) {
    const after = Plan.standingAfter(step, applied)
    yield* writeStep(page, step, standing, after)
    standing = after
  }
  yield* send(page, releaseLock(service))
  const script: OfflineScript = {
    service,
    from: plan.current,
    to: standing,
    steps: plan.steps.map((step) => ({
      direction: step._tag === "Apply" ? "up" : "down",
      revision: revisionName(refOf(step).revision, refOf(step).slug)
    })),
    script: [header(service, plan.current, standing, options.appVersion), ...transcript.lines()].join("\n\n")
  }
  return script
})
