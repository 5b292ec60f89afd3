import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { base, type Revision } from "../files/Revision.ts"
import { requireRunnable } from "../files/RevisionCheck.ts"
import { checksumOf } from "../files/RevisionFile.ts"
import { loadRevisionSet, type MigratedService } from "../files/RevisionSet.ts"
import { classOf, readTree } from "../files/Statements.ts"
import {
  type HistoryEntry,
  later,
  type MigrationHistory,
  makeMigrationHistory,
  reversalColumns
} from "../history/MigrationHistory.ts"
import { MigratorOptions, type MigratorOptionsValues, toolVersion } from "../MigratorOptions.ts"
import * as Plan from "../plan/Plan.ts"
import { beginning, type Target } from "../plan/Target.ts"
import { isQuestion, readAssertions, readScript, type Script, setTimeouts } from "./Script.ts"
import { cleanSession } from "./Session.ts"
import { directionOf, eventOf, nameOfStep, refOf, sectionOf, sectionsOfStep, sourceOf } from "./StepContext.ts"
import {
  asserted,
  guard,
  guardFormat,
  makeTranscript,
  prepare,
  releaseLock,
  type Transcript,
  takeLock
} from "./Transcript.ts"

/** The range of a script contains a data revision, which cannot be rendered as SQL. */
export class RevisionNotRenderable extends Schema.TaggedError<RevisionNotRenderable>()("RevisionNotRenderable", {
  service: ServiceName,
  revision: Schema.String,
  file: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: ${this.revision} (${this.file}) is a program, so its statements are known only while it runs: it cannot be ` +
      "rendered, and nothing was printed. Render the parts before and after it (--sql <from>:<to>), and run it " +
      `with a connection: pnpm migrate --service ${this.service} upgrade ${this.revision}`
    )
  }
}

/** The history row of an applied revision, as far as a plan uses it. */
const entryOf = (revision: Revision): HistoryEntry => ({
  revision: revision.number,
  slug: revision.slug,
  kind: revision.kind,
  phase: revision.phase,
  state: "applied",
  up_checksum: revision.up.checksum,
  ...reversalColumns(revision),
  steps_done: 0,
  steps_total: 0,
  ...later,
  started_at: new Date(0),
  finished_at: null,
  duration_ms: null,
  applied_by: "",
  app_version: "",
  tool_version: toolVersion
})

interface ScriptContext extends Transcript {
  readonly service: ServiceName
  readonly history: MigrationHistory
  readonly options: MigratorOptionsValues
}

const send = ({ connection }: ScriptContext, text: string) => connection.query(text.replace(/;$/, ""))

/** Writes assertions for the open transaction of a script; one that is not true becomes an error. */
const writeVerify = Effect.fnUntraced(function* (context: ScriptContext, { file, statements }: Script) {
  yield* send(context, "savepoint verify")
  yield* send(context, "set local transaction_read_only = on")
  for (const { line, text } of statements) {
    yield* send(context, isQuestion(yield* readTree(text)) ? asserted(text, `${file}:${line}`) : text)
  }
  yield* send(context, "rollback to savepoint verify")
  yield* send(context, "release savepoint verify")
})

const record = (context: ScriptContext, step: Plan.Step, script: Script, startedAt: string) =>
  step._tag === "Apply"
    ? context.history.insert(step.revision, "applied", script.statements.length, startedAt)
    : context.history.remove(step.entry.revision)

/** Writes the statements that StepRunner.ts would run for the step. */
const writeStep = Effect.fnUntraced(function* (
  context: ScriptContext,
  step: Plan.Step,
  current: string,
  after: string
) {
  const { connection, history, options, service } = context
  const section = sectionOf(step)
  const script = yield* readScript(sourceOf(step, service), section, directionOf(step))
  const verify = yield* readAssertions(step)
  const assertions = verify === undefined ? Effect.void : writeVerify(context, verify)
  const done = history.event(eventOf(step), refOf(step), null)
  const { revision: number } = refOf(step)
  yield* send(context, cleanSession)
  if (section.transaction) {
    return yield* connection.transaction(
      Effect.gen(function* () {
        yield* send(context, guard(service, current))
        const startedAt = yield* setTimeouts(connection, section, options.lockTimeout)
        for (const { text } of script.statements) yield* send(context, text)
        yield* assertions
        yield* record(context, step, script, startedAt)
        yield* done
      })
    )
  }
  const total = script.statements.length
  const startedAt = yield* setTimeouts(connection, section, "0 millis")
  yield* connection.transaction(
    Effect.zipRight(
      send(context, guard(service, current)),
      step._tag === "Apply"
        ? history.insert(step.revision, "applying", total, startedAt)
        : history.beginRevert(number, total)
    )
  )
  // A half-way revision does not count as applied.
  const meanwhile = guard(service, step._tag === "Apply" ? current : after)
  const guarded = <A, E, R>(work: Effect.Effect<A, E, R>) =>
    connection.transaction(Effect.zipRight(send(context, meanwhile), work))
  for (const [index, { text }] of script.statements.entries()) {
    const kind = classOf(yield* readTree(text))
    const stepDone = history.stepDone(number, index + 1, total, checksumOf(text))
    if (kind._tag === "Transactional") {
      yield* guarded(Effect.zipRight(send(context, text), stepDone))
      continue
    }
    yield* guarded(history.stepsBegun(number, index + 1))
    yield* send(context, text)
    yield* stepDone
  }
  yield* connection.transaction(
    Effect.gen(function* () {
      yield* send(context, meanwhile)
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
    "-- It records what it does as pnpm migrate would, and refuses a schema that is at another revision.",
    "-- No statement may run after one that failed. The next line sets that for psql; for another client remove it, and make",
    "-- that client stop at the first error.",
    "\\set ON_ERROR_STOP on"
  ].join("\n")

/** Renders a script and its history rows, without a connection. Fails with RevisionNotRenderable at a data revision. */
export const renderScript = Effect.fn("Migrator.renderScript")(function* (
  migrated: MigratedService,
  from: Target,
  to: Target
) {
  const service = migrated.name
  const set = yield* loadRevisionSet(migrated)
  const options = yield* MigratorOptions
  const applied = set.revisions.slice(0, yield* beginning(set, from)).map(entryOf)
  const plan = yield* Plan.make(set, applied, to)
  for (const step of plan.steps) {
    const { revision } = step
    if (revision?.kind === "ts") {
      return yield* new RevisionNotRenderable({ service, revision: nameOfStep(step), file: revision.file })
    }
  }
  yield* requireRunnable(service, plan.steps.flatMap(sectionsOfStep))
  const transcript = makeTranscript()
  const context: ScriptContext = {
    ...transcript,
    service,
    options,
    history: makeMigrationHistory(service, transcript.connection, options)
  }
  yield* send(context, "set standard_conforming_strings = on")
  yield* send(context, takeLock(service))
  if (plan.current === base) {
    const tables = makeTranscript()
    yield* makeMigrationHistory(service, tables.connection, options).bringToFormat(0)
    yield* send(context, prepare(service, tables.lines()))
  }
  yield* send(context, guardFormat(service))
  let current = plan.current
  for (const step of plan.steps) {
    const after = Plan.currentAfter(step, applied)
    yield* writeStep(context, step, current, after)
    current = after
  }
  yield* send(context, releaseLock(service))
  return {
    service,
    from: plan.current,
    to: current,
    steps: plan.steps.map((step) => ({ direction: directionOf(step), revision: nameOfStep(step) })),
    script: [header(service, plan.current, current, options.appVersion), ...transcript.lines()].join("\n\n")
  }
})
