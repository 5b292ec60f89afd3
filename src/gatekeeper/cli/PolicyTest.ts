import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type OutputFlags, runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { textProblem } from "../AccessRequest.ts"
import { type GhostGroup, groupFinder } from "../policy/GhostGroups.ts"
import { decide, type Policy, type PolicyQuestion } from "../policy/Policy.ts"
import { policyAt } from "./PolicyCheck.ts"

/** What a policy is asked, and what is expected of it. */
interface Case extends PolicyQuestion {
  readonly expected: "allow" | "deny"
  /** `group#number` of the rule that must have decided; undefined: whichever. */
  readonly rule: string | undefined
  readonly line: number
  readonly column: number
}

class CasesRefused extends YamlSchema.FileRefused("CasesRefused", "the cases are refused") {
  readonly exitCode = ExitCode.casesRefused
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
const parseCases = (source: string, file: string): Either.Either<ReadonlyArray<Case>, CasesRefused> =>
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

interface CaseResult extends Case {
  readonly decided: "allow" | "deny"
  /** `group#number`; null where no rule matched. */
  readonly by: string | null
  readonly reason: string
  /** The ghost's groups, and the lines of the policy's file that give them. */
  readonly groups: ReadonlyArray<GhostGroup>
  readonly passed: boolean
}

interface PolicyTestResult {
  readonly file: string
  readonly policy: Policy
  readonly tried: ReadonlyArray<CaseResult>
}

const runCase = (policy: Policy, one: Case): CaseResult => {
  const { allowed, matched, reason } = decide(policy, one)
  const decided = allowed ? "allow" : "deny"
  const by = matched === null ? null : `${matched.group}#${matched.rule}`
  return {
    ...one,
    decided,
    by,
    reason,
    groups: groupFinder(policy)(one.ghostId),
    passed: decided === one.expected && (one.rule === undefined || one.rule === by)
  }
}

const failedOf = ({ tried }: PolicyTestResult): ReadonlyArray<CaseResult> => tried.filter(({ passed }) => !passed)

const counted = ({ tried }: PolicyTestResult, failed: number): string =>
  `${tried.length - failed} of ${tried.length} case${tried.length === 1 ? "" : "s"} as expected`

const expectation = ({ expected, rule }: Case): string => (rule === undefined ? expected : `${expected} ${rule}`)

/** `scout (line 40), agent (line 12)`. */
const groupsText = ({ groups }: CaseResult): string =>
  groups.map(({ group, line }) => `${group} (line ${line})`).join(", ")

const row = (one: CaseResult): ReadonlyArray<Cell> => [
  { text: String(one.line), tone: "quiet" },
  { text: one.ghostId },
  { text: one.action },
  { text: one.resource },
  { text: expectation(one) },
  { text: one.by === null ? one.decided : `${one.decided} ${one.by}` },
  { text: groupsText(one), tone: "quiet" },
  one.passed ? { text: "ok", tone: "good" } : { text: "FAILED", tone: "bad" }
]

const render = (tested: PolicyTestResult, colours: boolean): string =>
  [
    renderTable(
      ["line", "ghost", "action", "resource", "expected", "decided", "groups", ""],
      tested.tried.map(row),
      colours
    ),
    "",
    visible(`${counted(tested, failedOf(tested).length)} by policy ${tested.policy.version}`)
  ].join("\n")

/** Returns null when every decision is as expected. */
const verdict = (tested: PolicyTestResult): Verdict | null => {
  const failed = failedOf(tested)
  if (failed.length === 0) return null
  const lines = failed.map(
    (one) =>
      `  ${tested.file}:${one.line}:${one.column}: expected ${expectation(one)} for ${one.ghostId} to ${one.action} ` +
      `${one.resource}, but it is ${one.decided}: ${one.reason}` +
      (one.groups.length === 0 ? "" : `; its groups: ${groupsText(one)}`)
  )
  const message = visible(`the policy does not decide as expected; ${counted(tested, failed.length)}`)
  return {
    error: "CasesFailed",
    message: [message, ...lines.map(visible)].join("\n"),
    exitCode: ExitCode.casesFailed
  }
}

export const testPolicy = (file: string, place: Option.Option<string>, flags: OutputFlags) =>
  runCommand({
    ...flags,
    command: "policy test",
    work: Effect.gen(function* () {
      const { policy } = yield* policyAt(place)
      const source = yield* Effect.mapError(
        YamlSchema.readText(file),
        (problems) => new CasesRefused({ file, problems })
      )
      const cases = yield* parseCases(source, file)
      return { file, policy, tried: cases.map((one) => runCase(policy, one)) }
    }),
    render,
    toJson: ({ file, policy, tried }) => ({
      file,
      policy_version: policy.version,
      cases: tried.map(({ ghostId, ...one }) => ({ ghost: ghostId, ...one, rule: one.rule ?? null }))
    }),
    verdict
  })
