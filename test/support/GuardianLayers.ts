import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as AllSettings from "../../src/app/AllSettings.ts"
import { noStops, Stops } from "../../src/clients/Stops.ts"
import { guardianSchema } from "../../src/guardian/GuardianSchema.ts"
import { Database } from "../../src/platform/postgres/Database.ts"
import { signingKey } from "./Guardian.ts"

/** What the guardian's rooms need, on a database whose schema is not looked at. */
export const guardianGround = (url: Redacted.Redacted) =>
  Database.layer(["guardian"]).pipe(
    Layer.provideMerge(
      AllSettings.layer.pipe(
        Layer.provide(
          Layer.setConfigProvider(
            ConfigProvider.fromMap(
              new Map([
                ["DATABASE_URL", Redacted.value(url)],
                ["GUARDIAN_SIGNING_KEY", signingKey]
              ])
            )
          )
        )
      )
    ),
    Layer.provideMerge(Layer.succeed(Stops, noStops)),
    Layer.provideMerge(NodeContext.layer),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

/** The same, on a database that is brought to the guardian's schema. */
export const guardianRooms = (url: Redacted.Redacted) =>
  Layer.provideMerge(Layer.fresh(Layer.discard(guardianSchema.layer)), guardianGround(url))
