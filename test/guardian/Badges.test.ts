import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { Badges } from "../../src/guardian/Badges.ts"
import * as Migrator from "../../src/migrator/Migrator.ts"
import { Database } from "../../src/platform/Database.ts"
import { Settings } from "../../src/platform/Settings.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const badgesOnFreshDatabase = Layer.unwrapEffect(
  Effect.map(freshDatabase, (url) => {
    const environment = ConfigProvider.fromMap(new Map([["DATABASE_URL", Redacted.value(url)]]))
    return Badges.layer.pipe(
      Layer.provide(Layer.discard(Layer.fresh(Migrator.layer("guardian")))),
      Layer.provide(Database.layer(["guardian"])),
      Layer.provide(Settings.layer.pipe(Layer.provide(Layer.setConfigProvider(environment)))),
      Layer.provide(NodeContext.layer),
      Layer.provide(Logger.remove(Logger.defaultLogger))
    )
  })
)

describe("A badge", () => {
  it.scopedLive("that is put back is as it was, and does not stand in the way of a newer one", () =>
    Effect.gen(function* () {
      const badges = yield* Badges
      const { badge: granted } = yield* badges.grant("g", "b")
      const taken = yield* badges.take("g", "b")
      expect(taken).toEqual(granted)
      expect(yield* badges.find("g", "b")).toBeUndefined()
      yield* badges.restore(granted)
      expect(yield* badges.find("g", "b")).toEqual(granted)
      yield* badges.take("g", "b")
      yield* Effect.sleep("5 millis")
      const { badge: newer, isNew } = yield* badges.grant("g", "b")
      yield* badges.restore(granted)
      expect([isNew, yield* badges.find("g", "b")]).toEqual([true, newer])
    }).pipe(Effect.provide(badgesOnFreshDatabase))
  )
})
