import { chmodSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
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

/** A trail that records everything. */
const takesAll = Layer.succeed(AuditLog, {
  record: () => Effect.succeed(AuditId.make("00000000-0000-7000-8000-000000000001")),
  withdraw: () => Effect.void,
  accepting: Effect.succeed(true),
  status: Effect.die("not asked for")
})

const policiesOf = (file: string, trail: Layer.Layer<AuditLog>) => {
  const settings = AllSettings.layer.pipe(
    Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["ACCESS_POLICY_PATH", file]]))))
  )
  const layer = PolicyInForce.layer.pipe(Layer.provide([trail, settings, NodeContext.layer]))
  return Effect.map(Layer.build(layer), (context) => Context.get(context, PolicyInForce))
}

const eventually = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("30 seconds")
  )

describe("PolicyInForce", () => {
  it.scopedLive("follows the content: of a file whose size and time stay, and behind a link that is changed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const file = join(home, "policy.yaml")
      const put = (name: string, resource: string) => {
        writeFileSync(join(home, name), textOf(resource))
        utimesSync(join(home, name), 1_000_000, 1_000_000)
      }
      put("first", "vaults/a")
      symlinkSync("first", file)
      const policies = yield* policiesOf(file, takesAll)
      const allowed = Effect.map(policies.current, ({ index }) => index.decide(question).allowed)
      expect(yield* allowed).toBe(false)
      put("first", "vaults/b")
      yield* eventually(allowed)
      put("second", "vaults/a")
      symlinkSync("second", join(home, "new"))
      renameSync(join(home, "new"), file)
      yield* eventually(Effect.map(allowed, (is) => !is))
    })
  )

  it.scopedLive("keeps its policy when other users may change the file, and says how to close it", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryHome, "policy.yaml")
      writeFileSync(file, textOf("vaults/a"), { mode: 0o644 })
      const policies = yield* policiesOf(file, takesAll)
      chmodSync(file, 0o666)
      writeFileSync(file, textOf("vaults/b"))
      yield* eventually(Effect.map(policies.refused, (refused) => refused !== null))
      const refused = yield* policies.refused
      expect(refused?.problems.map(({ problem }) => problem).join()).toContain(`chmod go-w ${file}`)
      expect((yield* policies.current).index.decide(question).allowed).toBe(false)
      chmodSync(file, 0o644)
      yield* eventually(Effect.map(policies.current, ({ index }) => index.decide(question).allowed))
      const layer = policiesOf(file, takesAll)
      chmodSync(file, 0o666)
      expect((yield* Effect.flip(layer)).message).toContain(`chmod go-w ${file}`)
    })
  )

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
      const policies = yield* policiesOf(file, trail)
      const allowed = Effect.map(policies.current, ({ index }) => index.decide(question).allowed)
      const before = (yield* policies.current).policy.version
      writeFileSync(file, textOf("vaults/*"))
      expect(yield* Effect.flip(policies.reload({ ghostId: "Admin", requestId: "r" }))).toBe(full)
      yield* Effect.sleep("1200 millis")
      expect(yield* allowed).toBe(false)
      takes = true
      yield* allowed.pipe(
        Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("20 seconds")
      )
      const after = (yield* policies.current).policy.version
      expect(reasons).toEqual([`policy ${before} -> ${after}`])
    })
  )
})
