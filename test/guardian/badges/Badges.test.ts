import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Badges } from "../../../src/guardian/badges/Badges.ts"
import { guardianRooms } from "../../support/GuardianLayers.ts"
import { migratedDatabase } from "../../support/TestDatabase.ts"

const badgesOnFreshDatabase = Layer.unwrapEffect(
  Effect.map(migratedDatabase, (url) => Layer.provide(Badges.layer, guardianRooms(url)))
)

describe("A badge", () => {
  it.scopedLive("that is put back is as it was, and does not replace a newer one", () =>
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
