import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import { lookAlikes } from "../../platform/config/LookAlikes.ts"
import { audited, failureAs, type GatekeeperCaller } from "../GatekeeperAccess.ts"
import type { GroupReference } from "./GhostGroups.ts"
import { PolicyInForce } from "./PolicyInForce.ts"

const listsOf = <A>(lists: ReadonlyMap<string, ReadonlyArray<GroupReference>>, value: (one: GroupReference) => A) =>
  Object.fromEntries(Array.from(lists, ([name, references]) => [name, references.map(value)]))

const readPolicy = Effect.flatMap(PolicyInForce, (policies) =>
  audited(Api.policy, {
    event: "policy.read",
    action: "read",
    fallbackResource: "policy",
    target: () =>
      Effect.succeed({
        resource: "policy",
        run: ({ auditId, snapshot: { loadedAt, policy } }: GatekeeperCaller) =>
          Effect.map(Effect.all([policies.refused, lookAlikes(policy.ghostMappings.keys())]), ([refused, alike]) => ({
            body: {
              version: policy.version,
              loaded_at: DateTime.formatIso(loadedAt),
              groups: Object.fromEntries(
                [...policy.groups].map(([group, permissions]) => [
                  group,
                  { permissions, inherits: (policy.inherits.get(group) ?? []).map((one) => one.group) }
                ])
              ),
              ghost_mappings: listsOf(policy.ghostMappings, ({ group }) => group),
              lines: {
                inherits: listsOf(policy.inherits, ({ line }) => line),
                ghost_mappings: listsOf(policy.ghostMappings, ({ line }) => line)
              },
              look_alikes: alike,
              resource_paths: Object.fromEntries(policy.resourcePaths),
              refused_reload:
                refused === null ? null : { at: DateTime.formatIso(refused.at), problems: refused.problems },
              audit_id: auditId
            }
          }))
      })
  })
)

const reloadPolicy = Effect.flatMap(PolicyInForce, (policies) =>
  audited(Api.reload, {
    event: "policy.reload",
    action: "write",
    fallbackResource: "policy",
    target: () =>
      Effect.succeed({
        resource: "policy",
        run: ({ auditId, ghostId, requestId }: GatekeeperCaller) =>
          policies.reload({ ghostId, requestId }).pipe(
            Effect.map(({ after, before }) => ({
              body: { before, after, changed: before !== after, audit_id: auditId }
            })),
            Effect.catchTags({
              AuditUnavailable: (error) => Effect.fail(failureAs("audit_unavailable")(error)),
              PolicyRefused: ({ problems }) =>
                Effect.flatMap(policies.current, ({ policy: { version } }) => {
                  const lines = problems.map(({ column, line, problem }) => `${line}:${column} ${problem}`)
                  return Effect.fail({
                    code: "policy_refused" as const,
                    message: `the policy file is refused, and policy ${version} stays in force: ${lines.join("; ")}`,
                    more: { problems, policy_version: version }
                  })
                })
            })
          )
      })
  })
)

export const policyRoutes = Effect.all([readPolicy, reloadPolicy], { discard: true })
