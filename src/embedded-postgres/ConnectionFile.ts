import { randomBytes } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
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
  new ConnectionFileUnusable({
    path: pathIn(directory),
    reason: cause instanceof Error ? cause.message : String(cause)
  })

/** How to reach a home's PostgreSQL. The file is beside its data, readable by their owner only. */
export const ConnectionFile = Schema.Struct({
  /** The home of these data, for a person who finds the directory. */
  home: Schema.String,
  password: Schema.Redacted(Schema.NonEmptyString),
  /** Of the latest run; the next start prefers it, so that bookmarks last. */
  port: Schema.NullOr(Schema.Number)
})
export type ConnectionFile = typeof ConnectionFile.Type

const Text = Schema.parseJson(ConnectionFile)

/** 144 random bits, in characters that a URL carries as they are. */
export const newPassword: Effect.Effect<Redacted.Redacted> = Effect.sync(() =>
  Redacted.make(randomBytes(18).toString("base64url"))
)

/** Returns None if there is no such file; fails if it cannot be read or decoded. */
export const read = (directory: string): Effect.Effect<Option.Option<ConnectionFile>, ConnectionFileUnusable> =>
  Effect.tryPromise({
    try: () =>
      Fs.readFile(pathIn(directory), "utf8").then(Option.some, (cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT") return Option.none<string>()
        throw cause
      }),
    catch: unusable(directory)
  }).pipe(
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (text) =>
          Schema.decode(Text)(text).pipe(
            Effect.asSome,
            // The parser's message would quote the password.
            Effect.mapError(() => unusable(directory)("it is not understood"))
          )
      })
    )
  )

/** Replaces it atomically. It belongs to the owner of the directory: a start as root must not lock its owner out. */
export const write = (directory: string, file: ConnectionFile): Effect.Effect<void, ConnectionFileUnusable> =>
  Schema.encode(Text)(file).pipe(
    Effect.orDie,
    Effect.flatMap((text) =>
      Effect.tryPromise({
        try: async () => {
          const partial = `${pathIn(directory)}.partial`
          await Fs.rm(partial, { force: true })
          const handle = await Fs.open(partial, "wx", 0o600)
          try {
            await handle.writeFile(`${text}\n`)
            if (process.getuid?.() === 0) {
              const { uid, gid } = await Fs.stat(directory)
              await handle.chown(uid, gid)
            }
            await handle.sync()
          } finally {
            await handle.close()
          }
          await Fs.rename(partial, pathIn(directory))
        },
        catch: unusable(directory)
      })
    )
  )

export const urlOf = (password: Redacted.Redacted, port: number, database: string): Redacted.Redacted =>
  Redacted.make(`postgresql://${roleName}:${Redacted.value(password)}@127.0.0.1:${port}/${database}`)
