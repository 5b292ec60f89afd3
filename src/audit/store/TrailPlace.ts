import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"

/**
 * The database that holds a trail: the identifier that `initdb` gave the cluster, and the oid of the database in it. A standby that is
 * promoted has both of its primary. A database that was restored from a dump, or copied with `template`, has another oid or another
 * cluster. A clone of the whole cluster's files has the same, so nothing tells it apart.
 */
export interface TrailPlace {
  /** Null where the role may not read it. */
  readonly system: string | null
  readonly database: string
}

const Place = Schema.Struct({ system: Schema.NullOr(Schema.String), database: Schema.String })

const DatabaseRow = Schema.Tuple(Schema.Struct({ database: Schema.String, readable: Schema.Boolean }))

const databaseStatement = `
  select oid::text as database, has_function_privilege('pg_catalog.pg_control_system()', 'execute') as readable
  from pg_catalog.pg_database where datname = current_database()`

const SystemRow = Schema.Tuple(Schema.Struct({ system: Schema.String }))

/** Reads the place of the session's database. */
export const placeOf = Effect.fnUntraced(function* (connection: Connection) {
  const [{ database, readable }] = yield* queryRows(connection, DatabaseRow, databaseStatement)
  if (!readable) return { system: null, database }
  const [{ system }] = yield* queryRows(
    connection,
    SystemRow,
    "select system_identifier::text as system from pg_catalog.pg_control_system()"
  )
  return { system, database }
})

/** Whether both are the same database, as far as is known. */
export const isSamePlace = (one: TrailPlace, other: TrailPlace): boolean =>
  one.database === other.database && (one.system === other.system || one.system === null || other.system === null)

/** Where each trail was that processes of this home recorded into, by its id. */
const Places = Schema.parseJson(Schema.Record({ key: Schema.UUID, value: Place }))

/** The file beside a directory of journals that says which database holds each trail. */
export const fileOf = (directory: string): string => `${directory}.trails`

const unusable = (file: string, cause: unknown) =>
  new DatabaseError({
    phase: "connect",
    sqlstate: "3D000",
    reason: `the record of the home's trails, ${file}, cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
  })

const readAll = (file: string) =>
  Effect.try({ try: () => PrivateFile.read(file, 0o022), catch: (cause) => unusable(file, cause) }).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.succeed({})
        : Effect.mapError(Schema.decode(Places)(text), (cause) => unusable(file, cause))
    )
  )

/** Reads where the trail was when this home recorded into it; undefined where it never did. */
export const recordedPlace = (directory: string, trail: string): Effect.Effect<TrailPlace | undefined, DatabaseError> =>
  Effect.map(readAll(fileOf(directory)), (places: Readonly<Record<string, TrailPlace>>) => places[trail])

/** Records where the trail is from now on. */
export const recordPlace = Effect.fnUntraced(function* (directory: string, trail: string, place: TrailPlace) {
  const file = fileOf(directory)
  const text = yield* Effect.orDie(Schema.encode(Places)({ ...(yield* readAll(file)), [trail]: place }))
  yield* Effect.try({
    try: () => {
      PrivateFile.makeDirectory(Path.dirname(file), 0o700)
      PrivateFile.replace(file, `${text}\n`)
    },
    catch: (cause) => unusable(file, cause)
  })
})

/** A set-up error: the events of the home do not belong into a copy, unless the copy replaces the original. */
export const otherPlace = (trail: string) =>
  new DatabaseError({
    phase: "connect",
    sqlstate: "3D000",
    reason:
      `this database is a copy of the one that this home has recorded into: both hold the audit trail ${trail}. Nothing was written. ` +
      'If the copy replaces the original, as after a restore or a move: gravitas trail accept-restore --reason "…". ' +
      'If both are to live on: gravitas trail fork --reason "…" in the copy, with a GRAVITAS_HOME of its own. Else correct DATABASE_URL',
    hint: "docs/operations.md, Backup and restore"
  })

/** Fails where this home has recorded into the trail in another database; remembers the place at the first time. */
export const checkPlace = Effect.fnUntraced(function* (directory: string, trail: string, place: TrailPlace) {
  const before = yield* recordedPlace(directory, trail)
  if (before !== undefined && !isSamePlace(before, place)) return yield* otherPlace(trail)
  if (before !== undefined && (before.system !== null || place.system === null)) return
  // A full disk does not prevent a start: the journal may make room on it.
  yield* Effect.catchAll(recordPlace(directory, trail, place), ({ message }) => Effect.logWarning(message))
})
