import type * as FileSystem from "@effect/platform/FileSystem"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../domain/Service.ts"
import type { Settings } from "../platform/config/Settings.ts"
import type { Database, DatabaseUnreachable } from "../platform/postgres/Database.ts"
import type { GrantsMissing } from "./apply/Grants.ts"
import type { HistoryFormatUnknown, SchemaNotEmpty } from "./apply/LockedSchema.ts"
import type { RevisionFailed } from "./apply/RevisionFailed.ts"
import type { LockLost, LockNotAcquired } from "./apply/SchemaLock.ts"
import type { DatabaseIsReplica, DatabaseRefusal, SessionShared } from "./apply/Session.ts"
import { InspectionSessions } from "./apply/StartSessions.ts"
import type { DataRevisionUnreadable } from "./files/DataModule.ts"
import type { RevisionSetInvalid } from "./files/RevisionSet.ts"
import type { DataLossRefused } from "./plan/DataLoss.ts"
import type { PlanRefusal } from "./plan/PlanRefusal.ts"
import { type SchemaElsewhere, type SchemaUnreadable, SchemaVersion } from "./SchemaVersion.ts"
import { type SchemaNotAtHead, start } from "./Start.ts"

/** Why a schema could not be brought where it was asked to be. Each carries `exitCode`, see ExitCode.ts. */
export type MigrationError =
  | PlanRefusal
  | RevisionSetInvalid
  | DataRevisionUnreadable
  | DataLossRefused
  | RevisionFailed
  | LockNotAcquired
  | LockLost
  | SessionShared
  | SchemaNotEmpty
  | HistoryFormatUnknown
  | DatabaseIsReplica
  | DatabaseRefusal
  | DatabaseUnreachable

export type MigratorRequirements = Database | Settings | FileSystem.FileSystem

/** Why a service does not start. */
export type StartRefusal = MigrationError | SchemaNotAtHead | SchemaUnreadable | SchemaElsewhere | GrantsMissing

const layers = {
  gatekeeper: Layer.provide(Layer.effect(SchemaVersion.gatekeeper, start("gatekeeper")), InspectionSessions.layer),
  guardian: Layer.provide(Layer.effect(SchemaVersion.guardian, start("guardian")), InspectionSessions.layer),
  router: Layer.provide(Layer.effect(SchemaVersion.router, start("router")), InspectionSessions.layer)
} as const satisfies {
  readonly [S in ServiceName]: Layer.Layer<SchemaVersion<S>, StartRefusal, MigratorRequirements>
}

/**
 * Brings the service's schema to head on its migration connection, then reads `schema_version` back through the
 * application's pool; what else by `MIGRATE_ON_START`:
 *
 * - `upgrade` applies what is pending. Where the application connects by a string of its own, its group role gets the
 *   grants that the schema asks for, and a role that still lacks one is refused (exit 9, with the GRANT).
 * - `verify`, for deployments with a migration job of their own, applies nothing: unless at head it refuses (exit 3). It needs
 *   no other connection than the application's. Ahead by `expand` only it warns and starts, by `contract` it refuses (8).
 * - `off` checks nothing and says what it sees.
 *
 * What needs `SchemaVersion[service]` is built only after that, so no port opens on a schema that is
 * not understood. The same value each time: however often it is provided, it runs once in a process.
 */
export const layer = <S extends ServiceName>(service: S): (typeof layers)[S] => layers[service]
