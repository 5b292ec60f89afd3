import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { FileProblem, problemLines } from "../../domain/Text.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { textProblem } from "../AccessRequest.ts"
import type { PolicyQuestion } from "../policy/Policy.ts"

/** What a policy is asked, and what is expected of it. */
export interface Case extends PolicyQuestion {
  readonly expected: "allow" | "deny"
  /** `group#number` of the rule that must have decided; undefined: whichever. */
  readonly rule: string | undefined
  /** Where it stands in its file. */
  readonly line: number
  readonly column: number
}

/** The file of cases cannot be used; every problem has its line and column, counted from 1. */
export class CasesRefused extends Schema.TaggedError<CasesRefused>()("CasesRefused", {
  file: Schema.String,
  problems: Schema.Array(FileProblem)
}) {
  readonly exitCode = ExitCode.casesRefused
  override get message(): string {
    return `the cases are refused:\n${problemLines(this.file, this.problems)}`
  }
}

/** A text that a request may have: the gatekeeper refuses others before it asks the policy. */
const requestText = (field: "ghost_id" | "action" | "resource") =>
  YamlSchema.text.pipe(
    Schema.filter((value) => {
      const problem = value === "" ? undefined : textProblem(field, value)
      return problem === undefined ? undefined : `cannot be in a request: ${problem}`
    })
  )

const caseSchema = Schema.Struct({
  ghost: requestText("ghost_id"),
  action: requestText("action"),
  resource: requestText("resource"),
  expect: Schema.Literal("allow", "deny"),
  rule: Schema.optionalWith(
    YamlSchema.text.pipe(
      Schema.filter(
        (rule) => /^.+#[1-9]\d*$/.test(rule) || `is ${JSON.stringify(rule)}, not group#number, such as scout#1`
      )
    ),
    { exact: true }
  )
})

/** A file without a case is refused: it would prove nothing. */
const casesSchema = () =>
  Schema.Array(caseSchema).pipe(Schema.filter((cases) => cases.length > 0 || "must have a case"))

/** Reads a YAML list of `{ghost, action, resource, expect, rule?}`. */
export const parseCases = (source: string, file: string): Either.Either<ReadonlyArray<Case>, CasesRefused> =>
  Either.mapBoth(YamlSchema.decode(casesSchema, source), {
    onLeft: (problems) => new CasesRefused({ file, problems }),
    onRight: ({ placeOf, value }) =>
      value.map(({ action, expect, ghost, resource, rule }, i) => ({
        ghostId: ghost,
        action,
        resource,
        expected: expect,
        rule,
        ...placeOf([i])
      }))
  })
