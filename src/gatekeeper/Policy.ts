import type { Decision } from "../domain/Decision.ts"

/** Allows `action` on `resource`; each may be `*`, and a resource may end in `/*`. */
export interface Permission {
  readonly action: string
  readonly resource: string
}

/** What the policy file says. Allow-only: what no permission names is denied. */
export interface Policy {
  readonly groups: ReadonlyMap<string, ReadonlyArray<Permission>>
  readonly ghostMappings: ReadonlyMap<string, ReadonlyArray<string>>
  /** Of the file's text: the first 12 hexadecimal digits of its SHA-256. */
  readonly version: string
}

export interface Question {
  readonly ghostId: string
  readonly action: string
  readonly resource: string
}

/**
 * `*` is everything; `a/*` is what lies below `a`, by whole segments: neither `a` itself nor `ab`; anything else is itself.
 */
export const matchesResource = (pattern: string, resource: string): boolean => {
  if (pattern === "*") return true
  if (!pattern.endsWith("/*")) return pattern === resource
  const prefix = pattern.length - 1
  return resource.length > prefix && resource.startsWith(pattern.slice(0, prefix))
}

const matches = (permission: Permission, question: Question): boolean =>
  (permission.action === "*" || permission.action === question.action) &&
  matchesResource(permission.resource, question.resource)

const noGroups: ReadonlyArray<string> = []

/** Decides by the first permission that matches, in the order of the ghost's groups and of their lists. */
export const decide = (policy: Policy, question: Question): Decision => {
  const groups = policy.ghostMappings.get(question.ghostId) ?? noGroups
  for (const group of groups) {
    const permissions = policy.groups.get(group) ?? []
    for (const [index, permission] of permissions.entries()) {
      if (!matches(permission, question)) continue
      return {
        allowed: true,
        groups,
        matched: { group, rule: index + 1 },
        reason: `group ${group} may ${permission.action} on ${permission.resource}`
      }
    }
  }
  const reason =
    groups.length === 0 ? "the policy maps this ghost to no group" : `no permission of ${groups.join(", ")} allows it`
  return { allowed: false, groups, matched: null, reason }
}
