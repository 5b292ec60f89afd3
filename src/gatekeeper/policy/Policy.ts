import type { Decision } from "../../domain/Decision.ts"
import { type GroupRules, groupFinder } from "./GhostGroups.ts"
import { appliesTo, matchesAction } from "./Patterns.ts"

/** The effect of a permission that matches; a matching `deny` wins over every `allow`. */
export type PermissionEffect = "allow" | "deny"

/** Allows or denies `action` on `resource`; each may be `*`. A resource may end in `/*`, and one segment of it may be `${ghost}`. */
export interface Permission {
  readonly action: string
  readonly resource: string
  readonly effect: PermissionEffect
}

/** The content of a policy file. An action that no permission allows is denied. */
export interface Policy extends GroupRules {
  readonly groups: ReadonlyMap<string, ReadonlyArray<Permission>>
  /** By type of AuthZEN resource, the properties whose values come between type and id in its path; see AuthZenRequest.ts. */
  readonly resourcePaths: ReadonlyMap<string, ReadonlyArray<string>>
  /** The first 12 hexadecimal digits of the SHA-256 of the file's text. */
  readonly version: string
}

export interface PolicyQuestion {
  readonly ghostId: string
  readonly action: string
  readonly resource: string
}

/** Whether a permission applies to a question. A deny applies to other spellings too. */
export const matches = (permission: Permission, question: PolicyQuestion): boolean =>
  matchesAction(permission, question.action) && appliesTo(permission, question)

/** A permission with its group and its number in that group's list, counted from 1. */
export interface Rule {
  readonly group: string
  readonly rule: number
  readonly permission: Permission
}

/** The decision that `rule` makes for a ghost of `groups`. */
export const decidedBy = ({ group, permission, rule }: Rule, groups: ReadonlyArray<string>): Decision => {
  const allowed = permission.effect === "allow"
  return {
    allowed,
    groups,
    matched: { group, rule },
    reason: `group ${group} ${allowed ? "may" : "must not"} ${permission.action} on ${permission.resource}`
  }
}

/** Why a ghost of `groups` is denied where no permission matches. */
export const undecidedReason = (groups: ReadonlyArray<string>): string =>
  groups.length === 0 ? "the policy maps this ghost to no group" : `no permission of ${groups.join(", ")} allows it`

/** The groups of a ghost, in the order in which they decide. */
export const groupsOf = (policy: Policy, ghostId: string): ReadonlyArray<string> =>
  groupFinder(policy)(ghostId).map(({ group }) => group)

/** Every permission of the ghost's groups, in the order in which they decide. */
export const rulesOf = (policy: Policy, ghostId: string): ReadonlyArray<Rule> =>
  groupsOf(policy, ghostId).flatMap((group) =>
    (policy.groups.get(group) ?? []).map((permission, index) => ({ group, rule: index + 1, permission }))
  )

/**
 * Decides by the first `deny` that matches, else by the first `allow`, in the order of the ghost's groups and of their lists.
 *
 * This is the definition of a decision. Requests are decided by PolicyIndex, which must return the same.
 */
export const decide = (policy: Policy, question: PolicyQuestion): Decision => {
  const groups = groupsOf(policy, question.ghostId)
  let allowing: Rule | undefined
  for (const group of groups) {
    for (const [index, permission] of (policy.groups.get(group) ?? []).entries()) {
      if (!matches(permission, question)) continue
      const rule: Rule = { group, rule: index + 1, permission }
      if (permission.effect === "deny") return decidedBy(rule, groups)
      allowing ??= rule
    }
  }
  return allowing === undefined
    ? { allowed: false, groups, matched: null, reason: undecidedReason(groups) }
    : decidedBy(allowing, groups)
}
