import type { Decision } from "../../domain/Decision.ts"
import { jointServices } from "../../domain/Service.ts"
import { foldCase } from "../../domain/Spelling.ts"
import { groupFinder, isGhostPattern } from "./GhostGroups.ts"
import { ownSegment, patternSpellings, segmentOfGhost } from "./Patterns.ts"
import { decidedBy, type Policy, type PolicyQuestion, type Rule, undecidedReason } from "./Policy.ts"

/** The first rule of each group, for one pattern and action. A later rule of the same group never decides. */
type RulesByGroup = Map<string, Rule>

/** The rules of one pattern, by action. The action `*` has its own entry. */
type RulesByAction = Map<string, RulesByGroup>

/** A node of the tree of patterns, one level for each segment. */
interface PathNode {
  readonly children: Map<string, PathNode>
  /** The child of `${ghost}`: its segment is the asker's name. */
  own: PathNode | undefined
  /** Rules whose resource is this path. */
  readonly here: RulesByAction
  /** Rules whose resource is this path and `/*`. */
  readonly below: RulesByAction
}

/** The rules of one effect. */
interface RuleTree {
  readonly root: PathNode
  /** Rules whose resource is `*`. */
  readonly all: RulesByAction
}

interface GhostGroups {
  readonly groups: ReadonlyArray<string>
  /** The position of each group in the ghost's list. */
  readonly rank: ReadonlyMap<string, number>
  readonly undecided: Decision
  /** The segment that `${ghost}` equals in a rule that allows, and without its case in one that denies. */
  readonly ownName: string | undefined
  readonly foldedName: string | undefined
}

/** Decides as `decide` of Policy.ts does, in a time that does not depend on the number of rules. */
export interface PolicyIndex {
  readonly decide: (question: PolicyQuestion) => Decision
}

const emptyNode = (): PathNode => ({ children: new Map(), own: undefined, here: new Map(), below: new Map() })

const emptyTree = (): RuleTree => ({ root: emptyNode(), all: new Map() })

const isEmpty = ({ all, root }: RuleTree): boolean =>
  all.size === 0 && root.children.size === 0 && root.own === undefined

const childOf = (node: PathNode, segment: string): PathNode => {
  if (segment === ownSegment) {
    node.own ??= emptyNode()
    return node.own
  }
  const child = node.children.get(segment) ?? emptyNode()
  node.children.set(segment, child)
  return child
}

const rulesAt = ({ all, root }: RuleTree, pattern: string): RulesByAction => {
  if (pattern === "*") return all
  const isAbove = pattern.endsWith("/*")
  const node = (isAbove ? pattern.slice(0, -2) : pattern).split("/").reduce(childOf, root)
  return isAbove ? node.below : node.here
}

const put = (tree: RuleTree, pattern: string, action: string, rule: Rule): void => {
  const byAction = rulesAt(tree, pattern)
  const byGroup = byAction.get(action) ?? new Map<string, Rule>()
  byAction.set(action, byGroup)
  if (!byGroup.has(rule.group)) byGroup.set(rule.group, rule)
}

const ghostGroups = (ghostId: string, groups: ReadonlyArray<string>): GhostGroups => ({
  groups,
  rank: new Map(groups.map((group, index) => [group, index])),
  undecided: { allowed: false, groups, matched: null, reason: undecidedReason(groups) },
  ownName: segmentOfGhost(ghostId),
  foldedName: segmentOfGhost(foldCase(ghostId))
})

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

/** A question to a tree, and the first rule found so far. */
interface Search {
  /** A deny covers every case of letters: its tree has folded texts, and is asked with them. */
  readonly isFolded: boolean
  readonly action: string
  /** Of the resource. */
  readonly segments: ReadonlyArray<string>
  /** The segment that `${ghost}` equals. */
  readonly ownName: string | undefined
  readonly ghost: GhostGroups
  first: Rule | undefined
}

const take = (search: Search, rules: RulesByAction): void => {
  if (rules.size === 0) return
  const { ghost } = search
  const action = search.isFolded ? foldCase(search.action) : search.action
  search.first = firstOf(rules.get(action), ghost, search.first)
  // The rules of the action `*` were looked up above where the question's action is `*`.
  if (action !== "*") search.first = firstOf(rules.get("*"), ghost, search.first)
}

/** Takes the rules at the node of the segment at `index`, and those below it. */
const visit = (search: Search, node: PathNode, index: number): void => {
  const last = search.segments.length - 1
  if (index === last) return void take(search, node.here)
  // `a/*` matches what lies below `a`; `a/` itself does not.
  if (index < last - 1 || search.segments[last] !== "") take(search, node.below)
  descend(search, node, index + 1)
}

const descend = (search: Search, node: PathNode, index: number): void => {
  if (node.children.size === 0 && node.own === undefined) return
  const asked = search.segments[index] ?? ""
  const segment = search.isFolded ? foldCase(asked) : asked
  const child = node.children.get(segment)
  if (child !== undefined) visit(search, child, index)
  // A pattern has `${ghost}` once, so a path is followed at most twice from each of its segments.
  if (node.own !== undefined && segment === search.ownName) visit(search, node.own, index)
}

const firstRule = ({ all, root }: RuleTree, search: Search): Rule | undefined => {
  take(search, all)
  descend(search, root, 0)
  return search.first
}

const isFull = (segment: string): boolean => segment !== ""

/** The first rule that denies the resource as it is asked about, or without its empty segments. */
const firstDeny = (
  denying: RuleTree,
  action: string,
  segments: ReadonlyArray<string>,
  ghost: GhostGroups
): Rule | undefined => {
  const search: Search = { isFolded: true, action, segments, ownName: ghost.foldedName, ghost, first: undefined }
  const first = firstRule(denying, search)
  if (!segments.includes("")) return first
  const plain = segments.filter(isFull)
  return firstRule(denying, { ...search, segments: plain.length === 0 ? [""] : plain, first })
}

/** Ghosts that only patterns map, and whose groups are remembered. An enforcement point may ask about any name. */
const maximumRemembered = 10_000

/** Finds the groups of a ghost: those of names in the file are known, and those of names that a pattern maps are remembered. */
const makeGroupsOf = (policy: Policy): ((ghostId: string) => GhostGroups) => {
  const find = groupFinder(policy)
  const groupsOf = (ghost: string): GhostGroups =>
    ghostGroups(
      ghost,
      find(ghost).map(({ group }) => group)
    )
  const unmapped = ghostGroups("", [])
  const keys = [...policy.ghostMappings.keys()]
  const known = new Map([...keys, ...jointServices].map((ghost) => [ghost, groupsOf(ghost)]))
  if (!keys.some(isGhostPattern)) return (ghostId) => known.get(ghostId) ?? unmapped
  const remembered = new Map<string, GhostGroups>()
  return (ghostId) => {
    const before = known.get(ghostId) ?? remembered.get(ghostId)
    if (before !== undefined) return before
    const groups = groupsOf(ghostId)
    if (remembered.size >= maximumRemembered) remembered.clear()
    remembered.set(ghostId, groups)
    return groups
  }
}

/** Builds the trees of a policy's patterns, once for each policy. A question meets only the patterns on its resource's path. */
export const indexPolicy = (policy: Policy): PolicyIndex => {
  const allowing = emptyTree()
  const denying = emptyTree()
  for (const [group, permissions] of policy.groups) {
    for (const [index, permission] of permissions.entries()) {
      const rule = { group, rule: index + 1, permission }
      const { action, effect, resource } = permission
      if (effect === "allow") put(allowing, resource, action, rule)
      else for (const pattern of patternSpellings(foldCase(resource))) put(denying, pattern, foldCase(action), rule)
    }
  }
  const hasDeny = !isEmpty(denying)
  const groupsOf = makeGroupsOf(policy)
  return {
    decide: (question) => {
      const ghost = groupsOf(question.ghostId)
      if (ghost.groups.length === 0) return ghost.undecided
      const { action, resource } = question
      const segments = resource.split("/")
      const denial = hasDeny ? firstDeny(denying, action, segments, ghost) : undefined
      const first =
        denial ??
        firstRule(allowing, { isFolded: false, action, segments, ownName: ghost.ownName, ghost, first: undefined })
      return first === undefined ? ghost.undecided : decidedBy(first, ghost.groups)
    }
  }
}
