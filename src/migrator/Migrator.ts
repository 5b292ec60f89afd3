import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../domain/Service.ts"
import type { Settings } from "../platform/config/Settings.ts"
import type { Database, DatabaseUnreachable } from "../platform/postgres/Database.ts"
import type { GrantsMissing } from "./apply/Grants.ts"
import { InspectionSessions } from "./apply/InspectionSessions.ts"
import type { HistoryFormatUnknown, SchemaNotEmpty } from "./apply/LockedSchema.ts"
import type { RevisionFailed } from "./apply/RevisionFailed.ts"
import type { LockLost, LockNotAcquired } from "./apply/SchemaLock.ts"
import type { DatabaseIsReplica, DatabaseRefusal, SessionShared } from "./apply/Session.ts"
import type { DataRevisionUnreadable } from "./files/DataModule.ts"
import type { MigratedService } from "./files/MigrationFiles.ts"
import type { RevisionSetInvalid } from "./files/RevisionSet.ts"
import type { DataLossRefused } from "./plan/DataLoss.ts"
import type { PlanRefusal } from "./plan/PlanRefusal.ts"
import { type SchemaElsewhere, type SchemaUnreadable, type SchemaVersion, schemaVersionTag } from "./SchemaVersion.ts"
import { type SchemaNotAtHead, start } from "./Start.ts"

/** Why a schema was not brought to its target. Each error has an `exitCode`, see platform/cli/ExitCode.ts. */
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

/** A service's schema, as the layers of the service depend on it. */
export interface ServiceSchema<S extends ServiceName> {
  readonly service: MigratedService<S>
  /** Proof that the schema was checked at start, and access to its version. */
  readonly version: Context.Tag<SchemaVersion<S>, SchemaVersion<S>>
  /**
   * Brings the schema to head on the service's migration connection, then reads `schema_version` back through the
   * application's pool. `MIGRATE_ON_START` decides:
   *
   * - `upgrade` applies what is pending. If the application has a connection string of its own, its group role gets the grants
   *   that the schema asks for. A role that still lacks one is refused (exit 9, with the GRANT).
   * - `verify`, for deployments with a migration job, applies nothing and needs only the application's connection. It refuses a
   *   schema that is not at head (exit 3). A newer schema is accepted with a warning if it only expands, else refused (exit 8).
   * - `off` checks nothing and logs what it sees.
   *
   * Layers that need `version` are built only after that, so no port opens on a schema that is not understood. It is one
   * value: however often it is provided, it runs once in a process.
   */
  readonly layer: Layer.Layer<SchemaVersion<S>, StartRefusal, MigratorRequirements>
}

/** Describes the schema of a service. Each service has one such value, which everything that needs its schema imports. */
export const serviceSchema = <S extends ServiceName>(service: MigratedService<S>): ServiceSchema<S> => {
  const version = schemaVersionTag(service.name)
  return {
    service,
    version,
    layer: Layer.provide(Layer.effect(version, start(service)), InspectionSessions.layer)
  }
}
