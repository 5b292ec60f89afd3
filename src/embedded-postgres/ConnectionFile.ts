import { randomBytes } from "node:crypto"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { reasonOf } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"
import { roleName } from "./Cluster.ts"

/** The password file of a home cannot be read, decoded or written. */
export class ConnectionFileUnusable extends Schema.TaggedError<ConnectionFileUnusable>()("ConnectionFileUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `the password file ${this.path} is not usable: ${this.reason}`
  }
}

const pathIn = (directory: string): string => Path.join(directory, "connection.json")

const unusable = (directory: string) => (cause: unknown) =>
  new ConnectionFileUnusable({ path: pathIn(directory), reason: reasonOf(cause) })

/** Where a PostgreSQL listens, as libpq's parameters of these names. */
export interface ServerAddress {
  /** The directory of its Unix socket, or a loopback address. */
  readonly host: string
  /** Also part of the socket's name. */
  readonly port: number
}

/** The port in the socket's name of a server that listens on no port: psql's default. */
export const standardPort = 5432

export const isSocket = ({ host }: Pick<ServerAddress, "host">): boolean => host.startsWith("/")

/** How to reach a home's PostgreSQL. The file is beside its data, readable by their owner only. */
export const ConnectionFile = Schema.Struct({
  /** The home of these data, for a person who finds the directory. */
  home: Schema.String,
  password: Schema.Redacted(Schema.NonEmptyString),
  /** Of the latest run. Earlier versions wrote no host, and listened on this one. */
  host: Schema.optionalWith(Schema.String, { default: () => "127.0.0.1" }),
  port: Schema.NullOr(Schema.Number)
})
export type ConnectionFile = typeof ConnectionFile.Type

const Text = Schema.parseJson(ConnectionFile)

/** 144 random bits, in characters that a URL carries as they are. */
export const newPassword: Effect.Effect<Redacted.Redacted> = Effect.sync(() =>
  Redacted.make(randomBytes(18).toString("base64url"))
)

/** Returns None if there is no such file; fails if it cannot be read or decoded, or if another account may read it. */
export const read = (directory: string): Effect.Effect<Option.Option<ConnectionFile>, ConnectionFileUnusable> =>
  Effect.try({ try: () => PrivateFile.read(pathIn(directory)), catch: unusable(directory) }).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.succeedNone
        : Schema.decode(Text)(text).pipe(
            Effect.asSome,
            // The parser's message would quote the password.
            Effect.mapError(() => unusable(directory)("it is not understood"))
          )
    )
  )

export const write = (directory: string, file: ConnectionFile): Effect.Effect<void, ConnectionFileUnusable> =>
  Schema.encode(Text)(file).pipe(
    Effect.orDie,
    Effect.flatMap((text) =>
      Effect.try({ try: () => PrivateFile.replace(pathIn(directory), `${text}\n`), catch: unusable(directory) })
    )
  )

/** The connection string, by which both sides prove with SCRAM that they know the password: see AuthenticatedClient. */
export const urlOf = (
  password: Redacted.Redacted,
  { host, port }: ServerAddress,
  database: string
): Redacted.Redacted =>
  Redacted.make(
    `postgresql://${roleName}:${Redacted.value(password)}@${encodeURIComponent(host)}:${port}/${database}?require_auth=scram-sha-256`
  )
