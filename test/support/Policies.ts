import type { PermissionEffect, Policy } from "../../src/gatekeeper/policy/Policy.ts"

/** Action, resource and, where it is not `allow`, effect. */
export type PermissionText = readonly [action: string, resource: string, effect?: PermissionEffect]

/** Lists of groups, whose references come from line 1. */
export const references = (lists: Iterable<readonly [string, ReadonlyArray<string>]>): Policy["ghostMappings"] =>
  new Map(Array.from(lists, ([name, groups]) => [name, groups.map((group) => ({ group, line: 1 }))]))

/** A policy as its file would say it, for tests of what is decided by it. */
export const policyOf = (
  groups: Readonly<Record<string, ReadonlyArray<PermissionText>>>,
  ghosts: Readonly<Record<string, ReadonlyArray<string>>>,
  more: {
    readonly resourcePaths?: Readonly<Record<string, ReadonlyArray<string>>>
    readonly inherits?: Readonly<Record<string, ReadonlyArray<string>>>
  } = {}
): Policy => ({
  version: "test",
  groups: new Map(
    Object.entries(groups).map(([group, permissions]) => [
      group,
      permissions.map(([action, resource, effect = "allow"]) => ({ action, resource, effect }))
    ])
  ),
  inherits: references(Object.entries(more.inherits ?? {})),
  ghostMappings: references(Object.entries(ghosts)),
  resourcePaths: new Map(Object.entries(more.resourcePaths ?? {}))
})
