import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import { exitCodeOf } from "../../platform/console/ExitCode.ts"
import { RevisionFailed } from "../run/RevisionFailed.ts"

/** A failure as `--json` shows it. */
export interface ReportedError {
  readonly error: string
  readonly message: string
  readonly exitCode: number
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly statement?: string
  readonly sqlstate?: string
}

/**
 * The one object that `--json` prints on stdout, once the command line is parsed. docs/migrations-reference.md lists `result`
 * for each command:
 * `{ command, exitCode, services: [{ service, ok: true, result } | { service, ok: false, error }] }`.
 */
export interface Report<A> {
  readonly command: string
  readonly exitCode: number
  readonly services: ReadonlyArray<
    | { readonly service: ServiceName; readonly ok: true; readonly result: A }
    | { readonly service: ServiceName; readonly ok: false; readonly error: ReportedError }
  >
}

/** What that object has beside its error when the command line was not understood: no service was asked. */
export const unasked = { services: [] } satisfies Pick<Report<never>, "services">

/** One or more services failed. The first one's code ends the process. */
export class MigrationsFailed extends Schema.TaggedError<MigrationsFailed>()("MigrationsFailed", {
  messages: Schema.Array(Schema.String),
  exitCode: Schema.Number
}) {
  override get message(): string {
    return this.messages.join("\n\n")
  }
}

/** The line of the file with a caret below the column. Tabs stay, so that the caret stands right in any terminal. */
export const excerpt = ({ place: { column, line, source } }: RevisionFailed): string => {
  const margin = String(line)
  const caret =
    column === undefined
      ? ""
      : `\n  ${" ".repeat(margin.length)} | ${[...source]
          .slice(0, column - 1)
          .join("")
          .replace(/[^\t]/g, " ")}^`
  return `  ${margin} | ${source}${caret}`
}

/** The message for people; an error in a file with the place shown. */
export const tell = (error: Error): string =>
  error instanceof RevisionFailed ? `${error.message}\n\n${excerpt(error)}` : error.message

export const reported = (error: Error & { readonly _tag: string }): ReportedError => {
  const known = { error: error._tag, message: error.message, exitCode: exitCodeOf(error) }
  if (!(error instanceof RevisionFailed)) return known
  const { column, file, line, statement } = error.place
  const { sqlstate } = error.cause
  return {
    ...known,
    file,
    line,
    statement,
    ...(column === undefined ? {} : { column }),
    ...(sqlstate === undefined ? {} : { sqlstate })
  }
}
