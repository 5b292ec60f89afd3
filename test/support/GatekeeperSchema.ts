import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../src/domain/Service.ts"
import { migrate } from "../../src/migrator/apply/Migrate.ts"
import { MigratorOptions } from "../../src/migrator/MigratorOptions.ts"
import { Target } from "../../src/migrator/plan/Target.ts"
import { Settings } from "../../src/platform/config/Settings.ts"
import { Database } from "../../src/platform/postgres/Database.ts"
import { servicesByName } from "./migrator/Services.ts"

/** Brings the schema of one service to a place in its history. */
export const bring = (service: ServiceName, url: Redacted.Redacted, target: Target) => {
  const environment = ConfigProvider.fromMap(new Map([["DATABASE_URL", Redacted.value(url)]]))
  const settings = Settings.layer.pipe(Layer.provide(Layer.setConfigProvider(environment)))
  const database = Database.layer([service]).pipe(Layer.provideMerge(settings))
  return Effect.flatMap(MigratorOptions, (options) =>
    migrate(servicesByName[service], target).pipe(
      Effect.provideService(MigratorOptions, { ...options, allowDataLoss: true })
    )
  ).pipe(Effect.provide([database, NodeContext.layer]), Effect.asVoid, Effect.orDie)
}

/** Brings the gatekeeper's schema to head. */
export const gatekeeperUp = (url: Redacted.Redacted) => bring("gatekeeper", url, Target.Head())

/** Brings it up to a revision, or back to one, by number. */
export const gatekeeperUpTo = (url: Redacted.Redacted, number: number) =>
  bring("gatekeeper", url, Target.UpTo({ number, slug: null }))
export const gatekeeperDownTo = (url: Redacted.Redacted, number: number) =>
  bring("gatekeeper", url, Target.DownTo({ number, slug: null }))

/** The whole way back. */
export const gatekeeperDown = (url: Redacted.Redacted) => gatekeeperDownTo(url, 0)
