import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"

/** What a down script would take away, as it is now. */
export const DataLoss = Schema.Struct({
  /** The revision whose down it is. */
  revision: Schema.String,
  /** `router.history`; for values of a column `router.history.note`. Null where nobody can know. */
  table: Schema.NullOr(Schema.String),
  column: Schema.NullOr(Schema.String),
  /** Rows, or values that are not null. Null: not counted, see `note`. */
  rows: Schema.NullOr(Schema.Number),
  /** Why the number is missing, or what it leaves open. */
  note: Schema.NullOr(Schema.String)
})
export type DataLoss = typeof DataLoss.Type

/** One line, such as `0002_b: table router.b: 1 row`. */
export const shownLoss = ({ column, note, revision, rows, table }: DataLoss): string => {
  const what = table === null ? "cannot be known" : column === null ? `table ${table}` : `column ${table}.${column}`
  const unit = column === null ? "row" : "value"
  const count = rows === null ? "" : `: ${rows} ${unit}${rows === 1 ? "" : "s"}`
  return `${revision}: ${what}${count}${note === null ? "" : `${count === "" ? ": " : "; "}${note}`}`
}

/** A downgrade would destroy rows that are there, or might. */
export class DataLossRefused extends Schema.TaggedError<DataLossRefused>()("DataLossRefused", {
  service: ServiceName,
  /** Where the downgrade would have led. */
  goal: Schema.String,
  losses: Schema.Array(DataLoss),
  /** Where the schema is by now; null: nothing was reverted. */
  standing: Schema.NullOr(Schema.String)
}) {
  get exitCode() {
    return ExitCode.refused
  }
  override get message(): string {
    return (
      `${this.service}: the way back to ${this.goal} destroys data; ` +
      `${this.standing === null ? "nothing was reverted" : `it stopped at ${this.standing}`}:\n` +
      `${this.losses.map((loss) => `  ${shownLoss(loss)}`).join("\n")}\n` +
      "Save what is needed (pg_dump --table …), then, if these may go: " +
      `pnpm migrate --service ${this.service} downgrade ${this.goal} --allow-data-loss`
    )
  }
}
