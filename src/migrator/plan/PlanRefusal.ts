import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../ExitCode.ts"

const names = (list: ReadonlyArray<string>): string => list.join(", ")

/** An applied revision's file is not what was applied. */
export class ChecksumMismatch extends Schema.TaggedError<ChecksumMismatch>()("ChecksumMismatch", {
  service: ServiceName,
  files: Schema.Array(Schema.Struct({ file: Schema.String, part: Schema.Literal("up", "down") }))
}) {
  get exitCode() {
    return ExitCode.checksum
  }
  override get message(): string {
    const edited = this.files.map(({ file, part }) => `  ${file} (migrate:${part})`)
    return (
      `${this.service}: files of applied revisions were edited; nothing was run:\n${edited.join("\n")}\n` +
      "Restore each from version control (git checkout -- <file>), and put the change into a new revision."
    )
  }
}

/** The database holds revisions that this program does not know, and one of them took something away. */
export class DatabaseAhead extends Schema.TaggedError<DatabaseAhead>()("DatabaseAhead", {
  service: ServiceName,
  head: Schema.String,
  unknown: Schema.Array(Schema.String),
  contract: Schema.Array(Schema.String)
}) {
  get exitCode() {
    return ExitCode.databaseAhead
  }
  override get message(): string {
    return (
      `${this.service}: the database is ahead of this program (head ${this.head}): it also has ${names(this.unknown)}, ` +
      `of which ${names(this.contract)} (phase contract) took away what this program may need. ` +
      `Run the newer version, or go back with it: pnpm migrate --service ${this.service} downgrade ${this.head}`
    )
  }
}

/** The database and the files disagree about the past. */
export class RevisionConflict extends Schema.TaggedError<RevisionConflict>()("RevisionConflict", {
  service: ServiceName,
  problem: Schema.String
}) {
  get exitCode() {
    return ExitCode.invalidFiles
  }
  override get message(): string {
    return `${this.service}: ${this.problem}; nothing was run`
  }
}

/** A revision without a transaction stopped half-way, now or in an earlier run. */
export class PartlyApplied extends Schema.TaggedError<PartlyApplied>()("PartlyApplied", {
  service: ServiceName,
  revision: Schema.String,
  state: Schema.Literal("applying", "reverting"),
  stepsDone: Schema.Number,
  stepsTotal: Schema.Number
}) {
  get exitCode() {
    return ExitCode.partlyApplied
  }
  override get message(): string {
    return (
      `${this.service}: ${this.revision} stopped while ${this.state}, after ${this.stepsDone} of ${this.stepsTotal} ` +
      "statements (it runs without a transaction); nothing was run. " +
      `See what stands: select * from ${this.service}.schema_event order by id desc; then complete or undo it by hand`
    )
  }
}

/** A downgrade would have to undo a revision that has no way back. */
export class RevisionIrreversible extends Schema.TaggedError<RevisionIrreversible>()("RevisionIrreversible", {
  service: ServiceName,
  revisions: Schema.Array(Schema.Struct({ revision: Schema.String, reason: Schema.String }))
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    const list = this.revisions.map(({ revision, reason }) => `${revision} (${reason})`)
    const last = this.revisions[0]?.revision
    return (
      `${this.service}: no way back past ${names(list)}; nothing was reverted. ` +
      `The furthest is: pnpm migrate --service ${this.service} downgrade ${last}`
    )
  }
}

/** The named target is no revision of this service. */
export class RevisionUnknown extends Schema.TaggedError<RevisionUnknown>()("RevisionUnknown", {
  service: ServiceName,
  target: Schema.String,
  known: Schema.String
}) {
  get exitCode() {
    return ExitCode.databaseAhead
  }
  override get message(): string {
    return (
      `${this.service}: there is no revision ${this.target} to go to; ${this.known}. ` +
      `See: pnpm migrate --service ${this.service} status`
    )
  }
}

/** The target lies the other way. */
export class TargetBehind extends Schema.TaggedError<TargetBehind>()("TargetBehind", {
  service: ServiceName,
  target: Schema.String,
  current: Schema.String,
  command: Schema.Literal("upgrade", "downgrade")
}) {
  get exitCode() {
    return ExitCode.usage
  }
  override get message(): string {
    return (
      `${this.service} is at ${this.current}, and ${this.target} lies the other way; nothing was run. ` +
      `To go there: pnpm migrate --service ${this.service} ${this.command} ${this.target}`
    )
  }
}

export type PlanRefusal =
  | ChecksumMismatch
  | DatabaseAhead
  | RevisionConflict
  | PartlyApplied
  | RevisionIrreversible
  | RevisionUnknown
  | TargetBehind
