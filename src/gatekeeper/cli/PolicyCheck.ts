import type * as Option from "effect/Option"
import { type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import type { Policy } from "../policy/Policy.ts"
import { policyAt } from "./PolicyLocation.ts"

interface PolicyCheckResult {
  readonly file: string
  readonly policy: Policy
}

const groupsOf = ({ ghostMappings, groups }: Policy) =>
  [...groups].map(([group, permissions]) => ({
    group,
    allow: permissions.filter(({ effect }) => effect === "allow").length,
    deny: permissions.filter(({ effect }) => effect === "deny").length,
    ghosts: [...ghostMappings].filter(([, mapped]) => mapped.includes(group)).map(([ghost]) => ghost)
  }))

const shownGhosts = 5

const ghostsText = (ghosts: ReadonlyArray<string>): string =>
  ghosts.length > shownGhosts
    ? `${ghosts.slice(0, shownGhosts).join(", ")} and ${ghosts.length - shownGhosts} more`
    : ghosts.join(", ")

const render = ({ file, policy }: PolicyCheckResult, colours: boolean): string =>
  [
    visible(`${file} is valid: policy ${policy.version}`),
    "",
    renderTable(
      ["group", "allow", "deny", "ghosts"],
      groupsOf(policy).map(({ allow, deny, ghosts, group }) => [
        { text: group },
        { text: String(allow) },
        { text: String(deny), ...(deny > 0 ? { tone: "bad" as const } : {}) },
        ghosts.length === 0 ? { text: "none", tone: "warn" } : { text: ghostsText(ghosts) }
      ]),
      colours
    )
  ].join("\n")

/** `policy check`. */
export const checkPolicy = (file: Option.Option<string>, flags: OutputFlags) =>
  runCommand({
    ...flags,
    command: "policy check",
    work: policyAt(file),
    render,
    toJson: ({ file, policy }) => ({ file, version: policy.version, groups: groupsOf(policy) })
  })
