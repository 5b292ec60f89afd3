import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { MigratorRequirements } from "../../../src/migrator/Migrator.ts"
import { MigratorOptions, type MigratorOptionsValues } from "../../../src/migrator/MigratorOptions.ts"
import { environment, quiet } from "./Fixture.ts"

/** Gives the migrator's own effects the router's database and a folder of migrations. */
export const onRouter =
  (url: Redacted.Redacted, migrations: string, options: Partial<MigratorOptionsValues> = {}) =>
  <A, E>(effect: Effect.Effect<A, E, MigratorRequirements | FileSystem.FileSystem>) =>
    Effect.flatMap(MigratorOptions, (defaults) =>
      effect.pipe(
        Effect.provideService(MigratorOptions, { ...defaults, ...options }),
        Effect.provide([environment({ url, migrations, services: ["router"] }), quiet])
      )
    )
