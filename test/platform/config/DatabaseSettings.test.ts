import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { serviceNames } from "../../../src/domain/Service.ts"
import { embeddedServices, type SettingsValues } from "../../../src/platform/config/Settings.ts"

import { load } from "../../support/platform/SettingsLoading.ts"

const urlOf = (name: string) => `postgresql://app:pass-of-${name}@127.0.0.1:5432/${name}`

const shown = (urls: SettingsValues["databaseUrls"]) =>
  Object.fromEntries(
    serviceNames.map((service) => [service, Option.map(urls[service], Redacted.value).pipe(Option.getOrNull)])
  )

describe("Settings of databases", () => {
  it.effect("let a service's own database go before the common one", () =>
    Effect.gen(function* () {
      const { process: settings } = yield* load({
        DATABASE_URL: urlOf("common"),
        GUARDIAN_DATABASE_URL: urlOf("guardian")
      })
      const expected = { gatekeeper: urlOf("common"), guardian: urlOf("guardian"), router: urlOf("common") }
      expect(shown(settings.databaseUrls)).toEqual(expected)
      expect(shown(settings.migrationDatabaseUrls)).toEqual(expected)
      expect(embeddedServices(settings)).toEqual([])
    })
  )

  it.effect("migrate over the service's own migration connection, then the common one, then the application's", () =>
    Effect.gen(function* () {
      const { process: settings } = yield* load({
        DATABASE_URL: urlOf("common"),
        GATEKEEPER_DATABASE_URL: urlOf("gatekeeper"),
        GUARDIAN_DATABASE_URL: urlOf("guardian"),
        MIGRATION_DATABASE_URL: urlOf("owner"),
        GUARDIAN_MIGRATION_DATABASE_URL: urlOf("guardian-owner")
      })
      expect(shown(settings.migrationDatabaseUrls)).toEqual({
        gatekeeper: urlOf("owner"),
        guardian: urlOf("guardian-owner"),
        router: urlOf("owner")
      })
      expect(shown(settings.databaseUrls)).toEqual({
        gatekeeper: urlOf("gatekeeper"),
        guardian: urlOf("guardian"),
        router: urlOf("common")
      })
    })
  )

  it.effect("count a service to the embedded PostgreSQL when either of its connections is not named", () =>
    Effect.gen(function* () {
      const router = yield* load({ ROUTER_DATABASE_URL: urlOf("router") })
      expect(embeddedServices(router.process)).toEqual(["gatekeeper", "guardian"])
      const owner = yield* load({ MIGRATION_DATABASE_URL: urlOf("owner") })
      expect(embeddedServices(owner.process)).toEqual(serviceNames)
    })
  )
})
