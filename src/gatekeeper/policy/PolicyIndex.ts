import type { Decision } from "../../domain/Decision.ts"
import { jointServices } from "../../domain/Service.ts"
import {
  decidedBy,
  groupsOf,
  noGroups,
  type Policy,
  type PolicyQuestion,
  patternSpellings,
  type Rule,
  spellings,
  undecidedReason
} from "./Policy.ts"

/** The first rule of each group, for one pattern and action. A later rule of the same group never decides. */
type RulesByGroup = Map<string, Rule>

/** The rules of one pattern, by action. The action `*` has its own entry. */
interface PatternRules {
  readonly deny: Map<string, RulesByGroup>
  readonly allow: Map<string, RulesByGroup>
}

/** A node of the tree of patterns, one level for each segment. */
interface PathNode {
  readonly children: Map<string, PathNode>
  /** Rules whose resource is this path. */
  readonly here: PatternRules
  /** Rules whose resource is this path and `/*`. */
  readonly below: PatternRules
}

interface GhostGroups {
  readonly groups: ReadonlyArray<string>
  /** The position of each group in the ghost's list. */
  readonly rank: ReadonlyMap<string, number>
  readonly undecided: Decision
}

/** Decides as `decide` of Policy.ts does, in a time that does not depend on the number of rules. */
export interface PolicyIndex {
  readonly decide: (question: PolicyQuestion) => Decision
}

const emptyRules = (): PatternRules => ({ deny: new Map(), allow: new Map() })

const emptyNode = (): PathNode => ({ children: new Map(), here: emptyRules(), below: emptyRules() })

const put = (rules: PatternRules, rule: Rule): void => {
  const byAction = rules[rule.permission.effect]
  const byGroup = byAction.get(rule.permission.action) ?? new Map()
  byAction.set(rule.permission.action, byGroup)
  if (!byGroup.has(rule.group)) byGroup.set(rule.group, rule)
}

const nodeAt = (root: PathNode, path: string): PathNode => {
  let node = root
  for (const segment of path.split("/")) {
    const child = node.children.get(segment) ?? emptyNode()
    node.children.set(segment, child)
    node = child
  }
  return node
}

const rulesAt = (root: PathNode, all: PatternRules, pattern: string): PatternRules => {
  if (pattern === "*") return all
  return pattern.endsWith("/*") ? nodeAt(root, pattern.slice(0, -2)).below : nodeAt(root, pattern).here
}

const ghostGroups = (groups: ReadonlyArray<string>): GhostGroups => {
  const rank = new Map<string, number>()
  for (const [index, group] of groups.entries()) if (!rank.has(group)) rank.set(group, index)
  return { groups, rank, undecided: { allowed: false, groups, matched: null, reason: undecidedReason(groups) } }
}

const unmapped = ghostGroups(noGroups)

/** The rules of all patterns that match `resource`, unordered. */
const rulesOnPath = (root: PathNode, all: PatternRules, resource: string): ReadonlyArray<PatternRules> => {
  const found = [all]
  let node = root
  let start = 0
  while (true) {
    const slash = resource.indexOf("/", start)
    const child = node.children.get(slash === -1 ? resource.slice(start) : resource.slice(start, slash))
    if (child === undefined) return found
    if (slash === -1) {
      found.push(child.here)
      return found
    }
    // `a/*` matches what lies below `a`; `a/` itself does not.
    if (slash + 1 < resource.length) found.push(child.below)
    node = child
    start = slash + 1
  }
}

const isBefore = (one: Rule, other: Rule | undefined, rank: ReadonlyMap<string, number>): boolean => {
  if (other === undefined) return true
  const difference = (rank.get(one.group) ?? 0) - (rank.get(other.group) ?? 0)
  return difference === 0 ? one.rule < other.rule : difference < 0
}

/** The first rule in the order of the ghost's groups. Iterates over the rules or over the groups, whichever are fewer. */
const firstOf = (byGroup: RulesByGroup | undefined, { groups, rank }: GhostGroups, best: Rule | undefined) => {
  if (byGroup === undefined) return best
  let first = best
  if (byGroup.size <= groups.length) {
    for (const rule of byGroup.values()) if (rank.has(rule.group) && isBefore(rule, first, rank)) first = rule
    return first
  }
  for (const group of groups) {
    const rule = byGroup.get(group)
    if (rule !== undefined && isBefore(rule, first, rank)) first = rule
  }
  return first
}

/** Builds the tree of a policy's patterns, once for each policy. A question meets only the patterns on its resource's path. */
export const indexPolicy = (policy: Policy): PolicyIndex => {
  const root = emptyNode()
  const all = emptyRules()
  for (const [group, permissions] of policy.groups) {
    for (const [index, permission] of permissions.entries()) {
      const { effect, resource } = permission
      for (const pattern of effect === "deny" ? patternSpellings(resource) : [resource]) {
        put(rulesAt(root, all, pattern), { group, rule: index + 1, permission })
      }
    }
  }
  const ghosts = [...policy.ghostMappings.keys(), ...jointServices]
  const groupsByGhost = new Map(ghosts.map((ghost) => [ghost, ghostGroups(groupsOf(policy, ghost))]))
  return {
    decide: ({ action, ghostId, resource }) => {
      const own = groupsByGhost.get(ghostId) ?? unmapped
      if (own.groups.length === 0) return own.undecided
      const found = rulesOnPath(root, all, resource)
      const [, plain] = spellings(resource)
      const denying = plain === undefined ? found : [...found, ...rulesOnPath(root, all, plain)]
      for (const effect of ["deny", "allow"] as const) {
        let first: Rule | undefined
        for (const rules of effect === "deny" ? denying : found) {
          if (rules[effect].size === 0) continue
          first = firstOf(rules[effect].get(action), own, first)
          // The rules of the action `*` were looked up above where the question's action is `*`.
          if (action !== "*") first = firstOf(rules[effect].get("*"), own, first)
        }
        if (first !== undefined) return decidedBy(first, own.groups)
      }
      return own.undecided
    }
  }
}
