import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import { PolicyInForce } from "../../../src/gatekeeper/policy/PolicyInForce.ts"
import { full } from "../../support/AccessControlFixture.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const textOf = (resource: string) =>
  `groups: { readers: { permissions: [{ action: read, resource: ${resource} }] } }\nghost_mappings: { Scout: [readers] }\n`

const question = { ghostId: "Scout", action: "read", resource: "vaults/b" }

describe("PolicyInForce", () => {
  it.scopedLive("puts no policy in force while the trail takes no record of it, and does by itself once it does", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryHome, "policy.yaml")
      writeFileSync(file, textOf("vaults/a"))
      const reasons: Array<string | null> = []
      let takes = false
      const trail = Layer.succeed(AuditLog, {
        record: ({ reason }) =>
          Effect.suspend(() => {
            if (!takes) return Effect.fail(full)
            reasons.push(reason)
            return Effect.succeed(AuditId.make("00000000-0000-7000-8000-000000000001"))
          }),
        withdraw: () => Effect.void,
        accepting: Effect.succeed(true),
        status: Effect.die("not asked for")
      })
      const settings = AllSettings.layer.pipe(
        Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["ACCESS_POLICY_PATH", file]]))))
      )
      const policies = Context.get(
        yield* Layer.build(PolicyInForce.layer.pipe(Layer.provide([trail, settings, NodeContext.layer]))),
        PolicyInForce
      )
      const allowed = Effect.map(policies.current, ({ index }) => index.decide(question).allowed)
      const before = (yield* policies.current).policy.version
      writeFileSync(file, textOf("vaults/*"))
      expect(yield* Effect.flip(policies.reload({ ghostId: "Admin", requestId: "r" }))).toBe(full)
      yield* Effect.sleep("1200 millis")
      expect(yield* allowed).toBe(false)
      takes = true
      yield* allowed.pipe(
        Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("5 seconds")
      )
      const after = (yield* policies.current).policy.version
      expect(reasons).toEqual([`policy ${before} -> ${after}`])
    })
  )
})
