import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { finalizeOf, invalidIndexes, pendingDetaches } from "../apply/Catalog.ts"
import { openSchema } from "../apply/Migrate.ts"
import { type SchemaNotEmpty, unadoptedIn } from "../apply/UnadoptedSchema.ts"
import { revisionName } from "../files/Revision.ts"
import type { MigratedService, RevisionSet } from "../files/RevisionSet.ts"
import { type DetachedPartition, type QualifiedName, quotedName, shownName } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { halfwayOf, isIntact, nameOf } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import type { PlanRefusal } from "../plan/PlanRefusal.ts"
import { Target } from "../plan/Target.ts"

/** A command that fixes a problem, and what it does. */
interface Remedy {
  readonly command: string
  readonly does: string
}

/** What statements outside a transaction left when they were cut off. */
interface LeftBehind {
  readonly invalid: ReadonlyArray<QualifiedName>
  readonly pending: ReadonlyArray<DetachedPartition>
}

/** The SQL that clears up what no revision is half-way with. */
const clearing = ({ invalid, pending }: LeftBehind): ReadonlyArray<Remedy> => [
  ...pending.map((detached) => ({
    command: `psql -c ${JSON.stringify(finalizeOf(detached))}`,
    does: "finishes the detach that was cut off"
  })),
  ...invalid.map((index) => ({
    command: `psql -c ${JSON.stringify(`drop index concurrently ${quotedName(index)}`)}`,
    does: "drops the index, unless another session is building it now"
  }))
]

/** Lists the commands that fix the problems, the safest first. */
const remediesFor = (
  set: RevisionSet,
  history: ReadonlyArray<HistoryEntry>,
  problem: PlanRefusal | SchemaNotEmpty | null,
  { invalid, pending }: LeftBehind
): ReadonlyArray<Remedy> => {
  const migrate = `pnpm migrate --service ${set.service}`
  const entry = halfwayOf(history)
  if (entry !== undefined) {
    const name = nameOf(entry)
    const up = entry.state === "applying"
    const target = up ? name : revisionName(entry.revision - 1, history.at(-2)?.slug ?? "base")
    const resume = {
      command: `${migrate} ${up ? "upgrade" : "downgrade"} ${target}`,
      does: "continues where it stopped"
    }
    const dropped =
      (invalid.length === 0
        ? ""
        : `drops the invalid indexes of the failed statement (${invalid.map(shownName).join(", ")}), `) +
      (pending.length === 0
        ? ""
        : `finishes the detach that the statement began (${pending.map(({ partition }) => shownName(partition)).join(", ")}), `)
    const retry = (does: string) => ({ command: `${migrate} repair --retry`, does })
    const file = set.revisions[entry.revision - 1]
    const ways =
      !up && entry.kind === "sql"
        ? null
        : file === undefined || file.slug !== entry.slug || file.kind !== entry.kind
          ? [{ command: `${migrate} status`, does: `with the version of the program that has the file of ${name}` }]
          : entry.kind === "ts" && !isIntact(entry, file)
            ? [
                { command: `git checkout -- ${file.file}`, does: "restores the file with which it began" },
                retry("accepts the file as it is now, and continues with it")
              ]
            : null
    return [
      ...(ways ?? [
        ...(invalid.length + pending.length === 0 && entry.steps_begun <= entry.steps_done ? [resume] : []),
        retry(`${dropped}${pending.length === 0 ? "runs the interrupted statement again, " : ""}and continues`)
      ]),
      {
        command: `${migrate} repair --mark-applied --reason "<why>"`,
        does: `records ${name} as applied, after you completed it by hand`
      },
      {
        command: `${migrate} repair --mark-reverted --reason "<why>"`,
        does: `records ${name} as not applied, after you reverted it by hand`
      }
    ]
  }
  const edited = editedIn(set, history)
  if (edited.length > 0) {
    return edited.flatMap(({ file, revision }) => [
      { command: `git checkout -- ${file}`, does: "restores the file as it was applied" },
      {
        command: `${migrate} repair --accept-checksum ${revision} --reason "<why>"`,
        does: "records the file as it is now, with its down script; runs nothing"
      }
    ])
  }
  return problem === null ? clearing({ invalid, pending }) : [{ command: `${migrate} status`, does: problem.message }]
}

const editedIn = (set: RevisionSet, history: ReadonlyArray<HistoryEntry>) =>
  history.flatMap((entry) => {
    const revision = set.revisions[entry.revision - 1]
    return revision === undefined ||
      revision.slug !== entry.slug ||
      entry.state !== "applied" ||
      isIntact(entry, revision)
      ? []
      : [{ revision: nameOf(entry), file: revision.file }]
  })

/** Diagnoses a schema without the lock and without changing anything. */
export const diagnose = Effect.fn("Migrator.diagnose")(function* (migrated: MigratedService) {
  const service = migrated.name
  const opened = yield* openSchema(migrated)
  const { entries, session, set } = opened
  const plan = Plan.make(set, entries, Target.Head())
  const problem = Either.isLeft(plan) ? plan.left : yield* unadoptedIn(opened)
  const { connection } = session
  const left = yield* Effect.all({
    invalid: invalidIndexes(connection, { schema: service }),
    pending: pendingDetaches(connection, service)
  }).pipe(Effect.mapError(session.refuse("listing what statements left behind")))
  const last = halfwayOf(entries)
  return {
    service,
    address: session.address,
    current: Plan.currentOf(entries).name,
    /** Why an upgrade would be refused, or null. */
    problem,
    halfway:
      last === undefined
        ? null
        : {
            revision: nameOf(last),
            state: last.state,
            stepsDone: last.steps_done,
            stepsTotal: last.steps_total,
            /** A statement began and its outcome was not recorded. */
            outcomeUnknown: last.steps_begun > last.steps_done
          },
    edited: editedIn(set, entries),
    /** Indexes of the schema that failed concurrent builds left invalid. */
    invalidIndexes: left.invalid.map(shownName),
    /** Partitions whose concurrent detach was cut off. */
    pendingDetaches: left.pending.map(({ partition, table }) => `${shownName(partition)} of ${shownName(table)}`),
    /** Empty if there is no problem. */
    remedies: remediesFor(set, entries, problem, left)
  }
}, Effect.scoped)

/** The problems of a schema's history, and the commands that fix them. */
export type Diagnosis = Effect.Effect.Success<ReturnType<typeof diagnose>>
