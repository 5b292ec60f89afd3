import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ServiceName, titleOf } from "../domain/Service.ts"
import { Database, type DatabaseUnreachable } from "../platform/Database.ts"
import type { Settings } from "../platform/Settings.ts"
import { Target } from "./plan/Plan.ts"
import type { PlanRefusal } from "./plan/PlanRefusal.ts"
import type { RevisionSetInvalid } from "./revision/RevisionSet.ts"
import type { RevisionFailed } from "./run/RevisionFailed.ts"
import type { LockLost, LockNotAcquired } from "./run/SchemaLock.ts"
import { type HistoryFormatUnknown, migrate, type SchemaNotEmpty } from "./run/SchemaRun.ts"
import type { DatabaseIsReplica, DatabaseRefusal } from "./run/Session.ts"
import { readVersion, SchemaElsewhere, type SchemaUnreadable, SchemaVersion } from "./SchemaVersion.ts"

/** Why a schema could not be brought where it was asked to be. Each carries `exitCode`, see ExitCode.ts. */
export type MigrationError =
  | PlanRefusal
  | RevisionSetInvalid
  | RevisionFailed
  | LockNotAcquired
  | LockLost
  | SchemaNotEmpty
  | HistoryFormatUnknown
  | DatabaseIsReplica
  | DatabaseRefusal
  | DatabaseUnreachable

export type MigratorRequirements = Database | Settings | FileSystem.FileSystem

const atHead = Effect.fn("Migrator.start")(function* <S extends ServiceName>(
  service: S
): Effect.fn.Return<SchemaVersion<S>, MigrationError | SchemaUnreadable | SchemaElsewhere, MigratorRequirements> {
  const outcome = yield* migrate(service, Target.Head())
  const database = yield* Database
  const address = database.address(service)
  const read = readVersion(service, address, database.pool(service))
  const seen = yield* read
  if (seen.name !== outcome.version.name || seen.applied !== outcome.version.applied) {
    const migrationAddress = outcome.address
    return yield* new SchemaElsewhere({ service, address, migrationAddress, expected: outcome.to, actual: seen.name })
  }
  const ahead = outcome.ahead.length > 0
  if (ahead) {
    yield* Effect.logWarning(
      `${titleOf(service)} runs on a schema ahead of it: ${outcome.ahead.join(", ")} only expand it, so its own ` +
        `revisions up to ${outcome.head} still hold; update the program`
    )
  }
  yield* Effect.logInfo(
    `${titleOf(service)} schema versioned at revision ${outcome.to} (${ahead ? `ahead of head ${outcome.head}` : "head"})`
  ).pipe(Effect.annotateLogs({ service, revision: outcome.to, head: outcome.head }))
  return { service, head: outcome.head, expected: outcome.to, actual: Effect.map(read, ({ name }) => name) }
})

const layers = {
  gatekeeper: Layer.effect(SchemaVersion.gatekeeper, atHead("gatekeeper")),
  guardian: Layer.effect(SchemaVersion.guardian, atHead("guardian")),
  router: Layer.effect(SchemaVersion.router, atHead("router"))
} as const

/**
 * Brings the service's schema to head on its migration connection, then reads `schema_version` back through the
 * application's pool. What needs `SchemaVersion[service]` is built only after that, so no port opens on a schema that is
 * not understood. The same value each time: however often it is provided, it runs once in a process.
 */
export const layer = <S extends ServiceName>(service: S): (typeof layers)[S] => layers[service]
