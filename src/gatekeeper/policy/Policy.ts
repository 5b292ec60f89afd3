import type { Decision } from "../../domain/Decision.ts"
import { serviceIdentity, servicesOf } from "../../domain/Service.ts"

/** The effect of a permission that matches; a matching `deny` wins over every `allow`. */
export type PermissionEffect = "allow" | "deny"

/** Allows or denies `action` on `resource`; each may be `*`, and a resource may end in `/*`. */
export interface Permission {
  readonly action: string
  readonly resource: string
  readonly effect: PermissionEffect
}

/** The content of a policy file. An action that no permission allows is denied. */
export interface Policy {
  readonly groups: ReadonlyMap<string, ReadonlyArray<Permission>>
  readonly ghostMappings: ReadonlyMap<string, ReadonlyArray<string>>
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

/** The groups of a ghost without a mapping. */
export const noGroups: ReadonlyArray<string> = []

/** `*` matches everything; `a/*` what lies below `a`, by whole segments, so neither `a` nor `ab`; any other pattern itself. */
export const matchesResource = (pattern: string, resource: string): boolean => {
  if (pattern === "*") return true
  if (!pattern.endsWith("/*")) return pattern === resource
  const prefix = pattern.length - 1
  return resource.length > prefix && resource.startsWith(pattern.slice(0, prefix))
}

export const matchesAction = (pattern: string, action: string): boolean => pattern === "*" || pattern === action

/** A path, and the path without its empty segments: programs that resolve paths read `a//b`, `/a/b` and `a/b/` as `a/b`. */
export const spellings = (path: string): ReadonlyArray<string> =>
  path.includes("//") || path.startsWith("/") || path.endsWith("/")
    ? [
        path,
        path
          .split("/")
          .filter((segment) => segment !== "")
          .join("/")
      ]
    : [path]

/** The spellings of a pattern. A `*` that is not a wildcard in the pattern does not become one. */
export const patternSpellings = (pattern: string): ReadonlyArray<string> => {
  if (!pattern.endsWith("/*")) return spellings(pattern).filter((one) => one === pattern || !/^\*$|\/\*$/.test(one))
  const [, plain] = spellings(pattern.slice(0, -1))
  return plain === undefined || `${plain}/*` === pattern ? [pattern] : [pattern, plain === "" ? "*" : `${plain}/*`]
}

/** As `matchesResource`; a deny also matches where the two differ only in empty segments, so that these cannot evade it. */
export const appliesTo = ({ effect, resource: pattern }: Permission, resource: string): boolean =>
  effect === "allow"
    ? matchesResource(pattern, resource)
    : patternSpellings(pattern).some((rule) => spellings(resource).some((one) => matchesResource(rule, one)))

const matches = (permission: Permission, { action, resource }: PolicyQuestion): boolean =>
  matchesAction(permission.action, action) && appliesTo(permission, resource)

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

/**
 * The groups of a ghost. A process of several services has a name of its own; where the policy does not map it, it has the groups that
 * each of its services has.
 */
export const groupsOf = ({ ghostMappings }: Policy, ghostId: string): ReadonlyArray<string> => {
  const own = ghostMappings.get(ghostId)
  if (own !== undefined) return own
  const [first = noGroups, ...others] = servicesOf(ghostId).map(
    (one) => ghostMappings.get(serviceIdentity([one])) ?? noGroups
  )
  return first.filter((group) => others.every((groups) => groups.includes(group)))
}

/** Every permission of the ghost's groups, in the order in which they decide. */
export const rulesOf = (policy: Policy, ghostId: string): ReadonlyArray<Rule> =>
  [...new Set(groupsOf(policy, ghostId))].flatMap((group) =>
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
