import type { Decision } from "../../domain/Decision.ts"
import {
  decidedBy,
  noGroups,
  type Policy,
  patternSpellings,
  type Question,
  type Rule,
  spellings,
  undecidedReason
} from "./Policy.ts"

/** Of one pattern and action: the first rule of each group. A later one of the same group never decides. */
type RulesByGroup = Map<string, Rule>

/** The rules of one pattern, by action; `*` is an action like the others here. */
interface Rules {
  readonly deny: Map<string, RulesByGroup>
  readonly allow: Map<string, RulesByGroup>
}

/** A place in the tree of patterns, one level for each segment. */
interface Node {
  readonly children: Map<string, Node>
  /** Rules whose resource is this path. */
  readonly here: Rules
  /** Rules whose resource is this path and `/*`. */
  readonly below: Rules
}

interface Standing {
  readonly groups: ReadonlyArray<string>
  /** The place of each group among the ghost's. */
  readonly rank: ReadonlyMap<string, number>
  readonly undecided: Decision
}

/** Answers what `decide` of Policy.ts answers, in a time that does not depend on how many rules there are. */
export interface PolicyIndex {
  readonly decide: (question: Question) => Decision
}

const emptyRules = (): Rules => ({ deny: new Map(), allow: new Map() })

const emptyNode = (): Node => ({ children: new Map(), here: emptyRules(), below: emptyRules() })

const put = (rules: Rules, rule: Rule): void => {
  const byAction = rules[rule.permission.effect]
  const byGroup = byAction.get(rule.permission.action) ?? new Map()
  byAction.set(rule.permission.action, byGroup)
  if (!byGroup.has(rule.group)) byGroup.set(rule.group, rule)
}

const nodeAt = (root: Node, path: string): Node => {
  let node = root
  for (const segment of path.split("/")) {
    const child = node.children.get(segment) ?? emptyNode()
    node.children.set(segment, child)
    node = child
  }
  return node
}

const placeOf = (root: Node, all: Rules, pattern: string): Rules => {
  if (pattern === "*") return all
  return pattern.endsWith("/*") ? nodeAt(root, pattern.slice(0, -2)).below : nodeAt(root, pattern).here
}

const standingOf = (groups: ReadonlyArray<string>): Standing => {
  const rank = new Map<string, number>()
  for (const [index, group] of groups.entries()) if (!rank.has(group)) rank.set(group, index)
  return { groups, rank, undecided: { allowed: false, groups, matched: null, reason: undecidedReason(groups) } }
}

const nobody = standingOf(noGroups)

/** The rules that stand on the way to `resource`, in no order. */
const onTheWay = (root: Node, all: Rules, resource: string): ReadonlyArray<Rules> => {
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

const before = (one: Rule, other: Rule | undefined, rank: ReadonlyMap<string, number>): boolean => {
  if (other === undefined) return true
  const difference = (rank.get(one.group) ?? 0) - (rank.get(other.group) ?? 0)
  return difference === 0 ? one.rule < other.rule : difference < 0
}

/** The first in the ghost's order. Looks through the groups of the rules or through those of the ghost, whichever are fewer. */
const firstOf = (byGroup: RulesByGroup | undefined, { groups, rank }: Standing, best: Rule | undefined) => {
  if (byGroup === undefined) return best
  let first = best
  if (byGroup.size <= groups.length) {
    for (const rule of byGroup.values()) if (rank.has(rule.group) && before(rule, first, rank)) first = rule
    return first
  }
  for (const group of groups) {
    const rule = byGroup.get(group)
    if (rule !== undefined && before(rule, first, rank)) first = rule
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
        put(placeOf(root, all, pattern), { group, rule: index + 1, permission })
      }
    }
  }
  const standings = new Map([...policy.ghostMappings].map(([ghost, groups]) => [ghost, standingOf(groups)]))
  return {
    decide: ({ action, ghostId, resource }) => {
      const standing = standings.get(ghostId) ?? nobody
      if (standing.groups.length === 0) return standing.undecided
      const found = onTheWay(root, all, resource)
      const [, plain] = spellings(resource)
      const denying = plain === undefined ? found : [...found, ...onTheWay(root, all, plain)]
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
