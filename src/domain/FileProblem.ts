import * as Schema from "effect/Schema"

/** What is wrong in a file, and where; counted from 1. */
export const FileProblem = Schema.Struct({ line: Schema.Number, column: Schema.Number, problem: Schema.String })
export type FileProblem = typeof FileProblem.Type

/** `file:line:column: problem`, a line for each. */
export const problemLines = (file: string, problems: ReadonlyArray<FileProblem>): string =>
  problems.map(({ line, column, problem }) => `  ${file}:${line}:${column}: ${problem}`).join("\n")
