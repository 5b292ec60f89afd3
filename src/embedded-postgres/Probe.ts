import * as Fs from "node:fs/promises"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { connect } from "../platform/postgres/Connection.ts"
import type { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import { roleName } from "./Cluster.ts"
import { urlOf } from "./ConnectionFile.ts"

/** What comes back when the port of a PostgreSQL that should be ours is tried. */
export type Answer = Data.TaggedEnum<{
  /** It is ours, and the database `gravitas` is there. */
  Ready: { readonly version: string }
  /** It may come: nobody listens, it is starting or stopping. */
  NotYet: { readonly reason: string }
  /** Somebody else's server, or ours with another password. */
  Foreign: { readonly reason: string }
}>
export const Answer = Data.taggedEnum<Answer>()

export interface Target {
  readonly port: number
  readonly password: Redacted.Redacted
  readonly data: string
}

const sameDirectory = (a: string, b: string) =>
  Effect.promise(async () => {
    const real = (path: string) => Fs.realpath(path).catch(() => path)
    return (await real(a)) === (await real(b))
  })

const read = (error: DatabaseError): Answer =>
  error.sqlstate?.startsWith("28") === true
    ? Answer.Foreign({ reason: error.message })
    : Answer.NotYet({ reason: error.message })

const session = (target: Target, database: string) =>
  connect({
    url: urlOf(target.password, target.port, database),
    applicationName: "gravitas embedded",
    connectTimeout: "2 seconds",
    deadline: Duration.seconds(10)
  })

/** Makes the database where a start was cut off between the cluster and it. `template0`: nobody can be connected to it. */
const makeDatabase = (target: Target) =>
  session(target, "postgres").pipe(
    Effect.flatMap((connection) => connection.query(`create database ${roleName} template template0`)),
    Effect.scoped
  )

const look = (target: Target) =>
  session(target, roleName).pipe(
    Effect.flatMap((connection) =>
      connection.query(
        "select pg_catalog.current_setting('data_directory') as data, pg_catalog.current_setting('server_version') as version"
      )
    ),
    Effect.scoped
  )

/**
 * Tries the server once, by a session of its own: readiness is what a client sees, not what a log says. scram lets no
 * stranger on the port learn the password.
 */
export const probe = (target: Target): Effect.Effect<Answer> =>
  look(target).pipe(
    Effect.catchIf(
      (error) => error.sqlstate === "3D000",
      () => Effect.zipRight(makeDatabase(target), look(target))
    ),
    Effect.flatMap(({ rows }) => {
      const found = String(rows[0]?.["data"])
      return Effect.map(sameDirectory(found, target.data), (same) =>
        same
          ? Answer.Ready({ version: String(rows[0]?.["version"]) })
          : Answer.Foreign({ reason: `the server on port ${target.port} has its data in ${found}` })
      )
    }),
    Effect.catchAll((error) => Effect.succeed(read(error)))
  )
