import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import { lookAlikes, lookAlikesText } from "../../platform/config/LookAlikes.ts"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { accessPolicyPath } from "../GatekeeperSettings.ts"
import type { Policy } from "../policy/Policy.ts"
import { parsePolicy } from "../policy/PolicyFile.ts"

/** The error of a command whose policy file is refused, with its exit code. The gatekeeper's own error is PolicyRefused. */
class PolicyFileRefused extends YamlSchema.FileRefused("PolicyFileRefused", "the policy is refused") {
  readonly exitCode = ExitCode.policyRefused
}

/** Loads the policy of the given file, by default of the file that `ACCESS_POLICY_PATH` names. */
export const policyAt = (given: Option.Option<string>) =>
  Effect.gen(function* () {
    const file = Option.isSome(given) ? given.value : yield* Effect.orDie(accessPolicyPath)
    const refused = (problems: PolicyFileRefused["problems"]) => new PolicyFileRefused({ file, problems })
    const read = Option.isSome(given) ? YamlSchema.readText : YamlSchema.readNamedText
    const source = yield* Effect.mapError(read(file), refused)
    const policy = yield* Effect.mapError(parsePolicy(source, file), ({ problems }) => refused(problems))
    return { file, policy }
  })

interface PolicyCheckResult {
  readonly file: string
  readonly policy: Policy
  /** Keys of `ghost_mappings` that a reader may take for each other. */
  readonly alike: ReadonlyArray<ReadonlyArray<string>>
}

const groupsOf = ({ ghostMappings, groups, inherits }: Policy) =>
  [...groups].map(([group, permissions]) => ({
    group,
    allow: permissions.filter(({ effect }) => effect === "allow").length,
    deny: permissions.filter(({ effect }) => effect === "deny").length,
    inherits: (inherits.get(group) ?? []).map((one) => one.group),
    ghosts: [...ghostMappings].filter(([, mapped]) => mapped.some((one) => one.group === group)).map(([ghost]) => ghost)
  }))

const shownGhosts = 5

const ghostsText = (ghosts: ReadonlyArray<string>): string =>
  ghosts.length > shownGhosts
    ? `${ghosts.slice(0, shownGhosts).join(", ")} and ${ghosts.length - shownGhosts} more`
    : ghosts.join(", ")

const render = ({ alike, file, policy }: PolicyCheckResult, colours: boolean): string =>
  [
    visible(`${file} is valid: policy ${policy.version}`),
    "",
    renderTable(
      ["group", "allow", "deny", "inherits", "ghosts"],
      groupsOf(policy).map(({ allow, deny, ghosts, group, inherits }) => [
        { text: group },
        { text: String(allow) },
        { text: String(deny), ...(deny > 0 ? { tone: "bad" as const } : {}) },
        { text: inherits.join(", ") },
        ghosts.length === 0 ? { text: "none", tone: "warn" } : { text: ghostsText(ghosts) }
      ]),
      colours
    ),
    ...(alike.length === 0 ? [] : ["", `Names that look alike: ${lookAlikesText(alike)}`])
  ].join("\n")

export const checkPolicy = (file: Option.Option<string>, flags: OutputFlags) =>
  runCommand({
    ...flags,
    command: "policy check",
    work: Effect.flatMap(policyAt(file), (found) =>
      Effect.map(lookAlikes(found.policy.ghostMappings.keys()), (alike) => ({ ...found, alike }))
    ),
    render,
    toJson: ({ alike, file, policy }) => ({
      file,
      version: policy.version,
      groups: groupsOf(policy),
      look_alikes: alike
    })
  })
