import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"

/** Rows or values that a down script would destroy, as they are now. */
export const DataLoss = Schema.Struct({
  /** The revision whose down it is. */
  revision: Schema.String,
  /** Such as `router.history`. Null if it is not known what would be destroyed. */
  table: Schema.NullOr(Schema.String),
  column: Schema.NullOr(Schema.String),
  /** The number of rows, or of values that are not null. Null: not counted, see `note`. */
  rows: Schema.NullOr(Schema.Number),
  /** Why the number is missing or may be too low. */
  note: Schema.NullOr(Schema.String)
})
export type DataLoss = typeof DataLoss.Type

/** Formats a loss on one line, such as `0002_b: table router.b: 1 row`. */
export const shownLoss = ({ column, note, revision, rows, table }: DataLoss): string => {
  const what = table === null ? "cannot be known" : column === null ? `table ${table}` : `column ${table}.${column}`
  const unit = column === null ? "row" : "value"
  const count = rows === null ? "" : `: ${rows} ${unit}${rows === 1 ? "" : "s"}`
  return `${revision}: ${what}${count}${note === null ? "" : `${count === "" ? ": " : "; "}${note}`}`
}

/** A downgrade would, or might, destroy rows. */
export class DataLossRefused extends Schema.TaggedError<DataLossRefused>()("DataLossRefused", {
  service: ServiceName,
  /** The revision to which the downgrade would have led. */
  goal: Schema.String,
  losses: Schema.Array(DataLoss),
  /** The revision that the schema is at now; null if nothing was reverted. */
  current: Schema.NullOr(Schema.String)
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    return (
      `${this.service}: the downgrade to ${this.goal} destroys data; ` +
      `${this.current === null ? "nothing was reverted" : `it stopped at ${this.current}`}:\n` +
      `${this.losses.map((loss) => `  ${shownLoss(loss)}`).join("\n")}\n` +
      "Save what is needed (pg_dump --table …), then, if these may go: " +
      `pnpm migrate --service ${this.service} downgrade ${this.goal} --allow-data-loss`
    )
  }
}
