import * as NodeContext from "@effect/platform-node/NodeContext"
import { expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { ServiceKeys } from "../../../src/gatekeeper/services/ServiceKeys.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { newKey } from "../../support/ServiceKeys.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

it.scopedLive(
  "a new key of a service is found at once, although another service's unknown key was just looked for",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const settings = new Map([
        ["DATABASE_URL", Redacted.value(url)],
        ["GRAVITAS_HOME", yield* temporaryHome]
      ])
      yield* Effect.gen(function* () {
        const keys = yield* ServiceKeys
        const [unknown, fresh] = [yield* newKey, yield* newKey]
        // A caller can name as many as it likes.
        expect(yield* keys.find(unknown.id, "router")).toBeUndefined()
        yield* query(
          url,
          "insert into gatekeeper.service_key (key_id, service, public_key, enrolled_by) values ($1, 'guardian', $2, 'a test')",
          [fresh.id, fresh.x]
        )
        expect(yield* keys.find(fresh.id, "guardian")).toBeDefined()
        expect(yield* keys.find(fresh.id, "router")).toBeUndefined()
      }).pipe(
        Effect.provide(
          ServiceKeys.layer.pipe(
            Layer.provide(Database.layer(["gatekeeper"])),
            Layer.provide([
              Layer.provide(AllSettings.layer, Layer.setConfigProvider(ConfigProvider.fromMap(settings))),
              NodeContext.layer,
              Logger.remove(Logger.defaultLogger)
            ])
          )
        )
      )
    })
)
