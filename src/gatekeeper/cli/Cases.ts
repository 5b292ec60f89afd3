import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { FileProblem, problemLines } from "../../domain/FileProblem.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { textProblem } from "../AccessRequest.ts"
import type { Question } from "../policy/Policy.ts"
import { readYaml, type YamlReading } from "../policy/YamlReading.ts"

/** What a policy is asked, and what is expected of it. */
export interface Case extends Question {
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

const asked = [
  ["ghost", "ghost_id"],
  ["action", "action"],
  ["resource", "resource"]
] as const

const ruleShape = /^.+#[1-9]\d*$/

const readCase = (yaml: YamlReading, node: unknown): Case | undefined => {
  const fields = yaml.fields(node, "a case", ["ghost", "action", "resource", "expect"], ["rule"])
  const text = (name: string): string => (fields.has(name) ? yaml.name(fields.get(name), name) : "")
  // What the gatekeeper refuses before it asks the policy is no case of the policy's.
  for (const [name, field] of asked) {
    const problem = text(name) === "" ? undefined : textProblem(field, text(name))
    if (problem !== undefined) yaml.note(fields.get(name), `no request may have it: ${problem}`)
  }
  const expected = text("expect")
  const rule = fields.has("rule") ? text("rule") : undefined
  if (expected !== "" && expected !== "allow" && expected !== "deny") {
    yaml.note(fields.get("expect"), `expect ${JSON.stringify(expected)} is neither allow nor deny`)
  }
  if (rule !== undefined && rule !== "" && !ruleShape.test(rule)) {
    yaml.note(fields.get("rule"), `rule ${JSON.stringify(rule)} is not group#number, such as scout#1`)
  }
  return expected === "allow" || expected === "deny"
    ? {
        ghostId: text("ghost"),
        action: text("action"),
        resource: text("resource"),
        expected,
        rule,
        ...yaml.placeOf(node)
      }
    : undefined
}

/** Reads a YAML list of `{ghost, action, resource, expect, rule?}`. A file without any case is refused: it would prove nothing. */
export const parseCases = (text: string, file: string): Either.Either<ReadonlyArray<Case>, CasesRefused> => {
  const yaml = readYaml(text)
  const items = yaml.root === undefined ? [] : yaml.list(yaml.root, "the file")
  const cases = items.flatMap((item) => readCase(yaml, item) ?? [])
  if (yaml.problems().length === 0 && items.length === 0) yaml.note(yaml.root, "there is no case")
  const problems = yaml.problems()
  return problems.length > 0 ? Either.left(new CasesRefused({ file, problems })) : Either.right(cases)
}
