import { serviceIdentity, servicesOf } from "../../domain/Service.ts"

/** A group that an entry of the policy's file names, and the line, counted from 1. */
export interface GroupReference {
  readonly group: string
  readonly line: number
}

type References = ReadonlyMap<string, ReadonlyArray<GroupReference>>

/** What a policy says about groups. */
export interface GroupRules {
  /** By group, the groups whose permissions it has too; without cycles. A group that inherits none is left out. */
  readonly inherits: References
  /** By ghost, or by pattern: a beginning of names and `*`. In the order of the file. */
  readonly ghostMappings: References
}

/** A group of a ghost, and the place in the policy's file that gives it. */
export interface GhostGroup extends GroupReference {
  /** The entry: a key of `ghost_mappings`, or a group that inherits this one. */
  readonly from: { readonly ghost: string } | { readonly group: string }
}

/** Whether a key of `ghost_mappings` is a pattern: every ghost whose name begins with what is before the `*`. */
export const isGhostPattern = (name: string): boolean => name.endsWith("*")

/** The given groups and what they inherit, each once: a group comes before those that it inherits. */
const withInherited = ({ inherits }: GroupRules, given: ReadonlyArray<GhostGroup>): ReadonlyArray<GhostGroup> => {
  const found = new Map<string, GhostGroup>()
  const pending = given.toReversed()
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { group } = next
    if (found.has(group)) continue
    found.set(group, next)
    for (const reference of (inherits.get(group) ?? []).toReversed()) pending.push({ ...reference, from: { group } })
  }
  return [...found.values()]
}

/**
 * Returns the function that finds a ghost's groups, in the order in which they decide: those of its name, then those of the patterns that
 * match it in the order of the file, each followed by what it inherits.
 *
 * A process of several services has a name of its own. Where the policy does not map that name, it has the groups that each of its
 * services has.
 */
export const groupFinder = (policy: GroupRules) => {
  const { ghostMappings } = policy
  const patterns = [...ghostMappings.keys()].filter(isGhostPattern)
  const given = (key: string): ReadonlyArray<GhostGroup> =>
    (ghostMappings.get(key) ?? []).map((reference) => ({ ...reference, from: { ghost: key } }))
  const find = (ghostId: string): ReadonlyArray<GhostGroup> => {
    const services = ghostMappings.has(ghostId) ? [] : servicesOf(ghostId)
    if (services.length > 1) {
      const [first = [], ...others] = services.map((one) => find(serviceIdentity([one])))
      return first.filter(({ group }) => others.every((groups) => groups.some((other) => other.group === group)))
    }
    const matching = patterns.filter((pattern) => pattern !== ghostId && ghostId.startsWith(pattern.slice(0, -1)))
    return withInherited(policy, [ghostId, ...matching].flatMap(given))
  }
  return find
}
