import * as Fs from "node:fs/promises"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { connect } from "../platform/postgres/Connection.ts"
import type { DatabaseError } from "../platform/postgres/DatabaseError.ts"
import { roleName } from "./Cluster.ts"
import { type ServerAddress, urlOf } from "./ConnectionFile.ts"

/** What answers at the address of a PostgreSQL that should be ours. */
type ProbeResult = Data.TaggedEnum<{
  /** It is ours, and the database `gravitas` exists. */
  Ready: { readonly version: string }
  /** No server listens, or it is starting or stopping. */
  NotYet: { readonly reason: string }
  /** Another program's server, or ours with another password. */
  Foreign: { readonly reason: string }
}>
const ProbeResult = Data.taggedEnum<ProbeResult>()

interface ProbeTarget {
  readonly address: ServerAddress
  readonly password: Redacted.Redacted
  readonly data: string
}

const sameDirectory = (a: string, b: string) =>
  Effect.promise(async () => {
    const real = (path: string) => Fs.realpath(path).catch(() => path)
    return (await real(a)) === (await real(b))
  })

const read = (error: DatabaseError): ProbeResult =>
  error.sqlstate?.startsWith("28") === true
    ? ProbeResult.Foreign({ reason: error.message })
    : ProbeResult.NotYet({ reason: error.message })

const session = (target: ProbeTarget, database: string) =>
  connect({
    url: urlOf(target.password, target.address, database),
    applicationName: "gravitas embedded",
    connectTimeout: "2 seconds",
    deadline: Duration.seconds(10)
  })

/** Makes the database if an earlier start ended before it did. From `template0`, to which no session can be connected. */
const makeDatabase = (target: ProbeTarget) =>
  session(target, "postgres").pipe(
    Effect.flatMap((connection) => connection.query(`create database ${roleName} template template0`)),
    Effect.scoped
  )

const look = (target: ProbeTarget) =>
  session(target, roleName).pipe(
    Effect.flatMap((connection) =>
      connection.query(
        "select pg_catalog.current_setting('data_directory') as data, pg_catalog.current_setting('server_version') as version"
      )
    ),
    Effect.scoped
  )

/**
 * Connects once: the server is ready when a client gets an answer, whatever its log says. By SCRAM another program neither learns
 * the password nor passes for ours.
 */
export const probe = (target: ProbeTarget): Effect.Effect<ProbeResult> =>
  look(target).pipe(
    Effect.catchIf(
      (error) => error.sqlstate === "3D000",
      () => Effect.zipRight(makeDatabase(target), look(target))
    ),
    Effect.flatMap(({ rows }) => {
      const found = String(rows[0]?.["data"])
      return Effect.map(sameDirectory(found, target.data), (same) =>
        same
          ? ProbeResult.Ready({ version: String(rows[0]?.["version"]) })
          : ProbeResult.Foreign({ reason: `the server at ${target.address.host} has its data in ${found}` })
      )
    }),
    Effect.catchAll((error) => Effect.succeed(read(error)))
  )
