import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { revisionName } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"

/** A revision as a command names it. If a slug is given, it must be that of the number. */
export interface RevisionName {
  readonly number: number
  readonly slug: string | null
}

const names = (list: ReadonlyArray<string>): string => list.join(", ")

/** The file of an applied revision differs from what was applied. */
export class ChecksumMismatch extends Schema.TaggedError<ChecksumMismatch>()("ChecksumMismatch", {
  service: ServiceName,
  files: Schema.Array(
    Schema.Struct({ file: Schema.String, revision: Schema.String, part: Schema.Literal("up", "down", "file") })
  )
}) {
  readonly exitCode = ExitCode.checksum
  override get message(): string {
    const edited = this.files.map(({ file, part }) => `  ${file}${part === "file" ? "" : ` (migrate:${part})`}`)
    return (
      `${this.service}: files of applied revisions were edited; nothing was run:\n${edited.join("\n")}\n` +
      "Restore each from version control (git checkout -- <file>), and put the change into a new revision. " +
      "If the database is already as the edited file says: " +
      `pnpm migrate --service ${this.service} repair --accept-checksum ${this.files[0]?.revision} --reason "<why>"`
    )
  }
}

/** The database has revisions that this program does not know, and one of them removed something (phase contract). */
export class DatabaseAhead extends Schema.TaggedError<DatabaseAhead>()("DatabaseAhead", {
  service: ServiceName,
  head: Schema.String,
  unknown: Schema.Array(Schema.String),
  contract: Schema.Array(Schema.String)
}) {
  readonly exitCode = ExitCode.databaseAhead
  override get message(): string {
    return (
      `${this.service}: the database is ahead of this program (head ${this.head}): it also has ${names(this.unknown)}, ` +
      `of which ${names(this.contract)} (phase contract) removed what this program may need. ` +
      `Run the newer version, or go back with it: pnpm migrate --service ${this.service} downgrade ${this.head}`
    )
  }
}

/** The history in the database and the files contradict each other. */
export class RevisionConflict extends Schema.TaggedError<RevisionConflict>()("RevisionConflict", {
  service: ServiceName,
  problem: Schema.String
}) {
  readonly exitCode = ExitCode.invalidFiles
  override get message(): string {
    return `${this.service}: ${this.problem}; nothing was run`
  }
}

/** A revision without a transaction stopped half-way, now or in an earlier run, and cannot continue by itself. */
export class PartlyApplied extends Schema.TaggedError<PartlyApplied>()("PartlyApplied", {
  service: ServiceName,
  revision: Schema.String,
  state: Schema.Literal("applying", "reverting"),
  stepsDone: Schema.Number,
  stepsTotal: Schema.Number,
  /** Why it cannot continue. */
  problem: Schema.String
}) {
  readonly exitCode = ExitCode.partlyApplied
  /** The reason and the details for schema_event. */
  get record() {
    return { reason: this.message, stepsDone: this.stepsDone, stepsTotal: this.stepsTotal }
  }
  override get message(): string {
    return (
      `${this.service}: ${this.revision} stopped while ${this.state}, after ${this.stepsDone} of ${this.stepsTotal} ` +
      `statements (it runs without a transaction): ${this.problem}; nothing was run. ` +
      `To see the remedies: pnpm migrate --service ${this.service} repair`
    )
  }
}

/** A data revision can only be reverted with its file, which is missing. */
export class DataRevisionMissing extends Schema.TaggedError<DataRevisionMissing>()("DataRevisionMissing", {
  service: ServiceName,
  revisions: Schema.Array(Schema.String)
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: the file of ${names(this.revisions)} is missing, and only it can revert a data revision; ` +
      "nothing was reverted. Run the downgrade with the version of the program that has the file " +
      `(git log --all -- 'migrations/${this.service}/${this.revisions[0]}.ts' finds it), then: ` +
      `pnpm migrate --service ${this.service} status`
    )
  }
}

/** A downgrade would have to revert an irreversible revision. */
export class RevisionIrreversible extends Schema.TaggedError<RevisionIrreversible>()("RevisionIrreversible", {
  service: ServiceName,
  revisions: Schema.Array(Schema.Struct({ revision: Schema.String, reason: Schema.String }))
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    const list = this.revisions.map(({ revision, reason }) => `${revision} (${reason})`)
    const last = this.revisions[0]?.revision
    return (
      `${this.service}: cannot downgrade past the irreversible ${names(list)}; nothing was reverted. ` +
      `The furthest downgrade is: pnpm migrate --service ${this.service} downgrade ${last}`
    )
  }
}

/** The target is not a revision of this service. */
export class RevisionUnknown extends Schema.TaggedError<RevisionUnknown>()("RevisionUnknown", {
  service: ServiceName,
  target: Schema.String,
  known: Schema.String
}) {
  readonly exitCode = ExitCode.databaseAhead
  override get message(): string {
    return (
      `${this.service}: there is no revision ${this.target}; ${this.known}. ` +
      `See: pnpm migrate --service ${this.service} status`
    )
  }
}

/** Refuses a revision that a command names; `known` completes "there is no revision …;". */
export const unknownRevision = (
  set: RevisionSet,
  { number, slug }: RevisionName,
  known = `the head is ${headOf(set).name}`
): RevisionUnknown =>
  new RevisionUnknown({
    service: set.service,
    target: slug === null ? String(number) : revisionName(number, slug),
    known
  })

/** The target lies in the other direction. */
export class TargetBehind extends Schema.TaggedError<TargetBehind>()("TargetBehind", {
  service: ServiceName,
  target: Schema.String,
  current: Schema.String,
  command: Schema.Literal("upgrade", "downgrade")
}) {
  readonly exitCode = ExitCode.usage
  override get message(): string {
    return (
      `${this.service} is at ${this.current}, and ${this.target} lies in the other direction; nothing was run. ` +
      `To go there: pnpm migrate --service ${this.service} ${this.command} ${this.target}`
    )
  }
}

export type PlanRefusal =
  | ChecksumMismatch
  | DatabaseAhead
  | RevisionConflict
  | PartlyApplied
  | DataRevisionMissing
  | RevisionIrreversible
  | RevisionUnknown
  | TargetBehind
