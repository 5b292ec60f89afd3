import type { Decision } from "../../domain/Decision.ts"
import {
  decidedBy,
  noGroups,
  type Policy,
  type PolicyQuestion,
  patternSpellings,
  type Rule,
  spellings,
  undecidedReason
} from "./Policy.ts"

/** Of one pattern and action: the first rule of each group. A later one of the same group never decides. */
type RulesByGroup = Map<string, Rule>

/** The rules of one pattern, by action; `*` is an action like the others here. */
interface PatternRules {
  readonly deny: Map<string, RulesByGroup>
  readonly allow: Map<string, RulesByGroup>
}

/** A place in the tree of patterns, one level for each segment. */
interface PathNode {
  readonly children: Map<string, PathNode>
  /** Rules whose resource is this path. */
  readonly here: PatternRules
  /** Rules whose resource is this path and `/*`. */
  readonly below: PatternRules
}

interface GhostGroups {
  readonly groups: ReadonlyArray<string>
  /** The place of each group among the ghost's. */
  readonly rank: ReadonlyMap<string, number>
  readonly undecided: Decision
}

/** Answers what `decide` of Policy.ts answers, in a time that does not depend on how many rules there are. */
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

const nobody = ghostGroups(noGroups)

/** The rules that stand on the way to `resource`, in no order. */
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
    // `a/*` is what lies below `a`: `a/` has nothing there.
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

/** The first in the ghost's order. Looks through the groups of the rules or through those of the ghost, whichever are fewer. */
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

/** Made once for a policy: a tree of the patterns' segments, so that a question meets only the patterns that fit its resource. */
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
  const standings = new Map([...policy.ghostMappings].map(([ghost, groups]) => [ghost, ghostGroups(groups)]))
  return {
    decide: ({ action, ghostId, resource }) => {
      const standing = standings.get(ghostId) ?? nobody
      if (standing.groups.length === 0) return standing.undecided
      const found = rulesOnPath(root, all, resource)
      const [, plain] = spellings(resource)
      const denying = plain === undefined ? found : [...found, ...rulesOnPath(root, all, plain)]
      for (const effect of ["deny", "allow"] as const) {
        let first: Rule | undefined
        for (const rules of effect === "deny" ? denying : found) {
          if (rules[effect].size === 0) continue
          first = firstOf(rules[effect].get(action), standing, first)
          // An action that is `*` asks for what `*` alone allows, and has been looked for.
          if (action !== "*") first = firstOf(rules[effect].get("*"), standing, first)
        }
        if (first !== undefined) return decidedBy(first, standing.groups)
      }
      return standing.undecided
    }
  }
}
