import type { PermissionEffect, Policy } from "../../src/gatekeeper/policy/Policy.ts"

/** Action, resource and, where it is not `allow`, effect. */
export type PermissionText = readonly [action: string, resource: string, effect?: PermissionEffect]

/** A policy as its file would say it, for tests of what is decided by it. */
export const policyOf = (
  groups: Readonly<Record<string, ReadonlyArray<PermissionText>>>,
  ghosts: Readonly<Record<string, ReadonlyArray<string>>>,
  resourcePaths: Readonly<Record<string, ReadonlyArray<string>>> = {}
): Policy => ({
  version: "test",
  groups: new Map(
    Object.entries(groups).map(([group, permissions]) => [
      group,
      permissions.map(([action, resource, effect = "allow"]) => ({ action, resource, effect }))
    ])
  ),
  ghostMappings: new Map(Object.entries(ghosts)),
  resourcePaths: new Map(Object.entries(resourcePaths))
})
