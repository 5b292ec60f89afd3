import { randomUUID } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { EmbeddedPostgres } from "../../src/embedded-postgres/EmbeddedPostgres.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"

/** Every user may enter: root's PostgreSQL runs as another. */
const temporaryHome = Effect.acquireRelease(
  Effect.promise(async () => {
    const home = await Fs.mkdtemp(Path.join(Os.tmpdir(), "gravitas-bench-"))
    await Fs.chmod(home, 0o711)
    return home
  }),
  (home) => Effect.promise(() => Fs.rm(home, { recursive: true, force: true }))
)

const embedded = Effect.gen(function* () {
  const home = yield* temporaryHome
  const context = yield* Layer.build(EmbeddedPostgres.layer({ home, join: false }))
  return Context.get(context, EmbeddedPostgres).url
})

/** The server of DATABASE_URL, else an embedded PostgreSQL with its default (durable) settings. */
export const benchServer = Effect.gen(function* () {
  const given = yield* Config.option(Config.redacted("DATABASE_URL"))
  return Option.isSome(given) ? given.value : yield* embedded
})

/** A new database on `server`, dropped when the scope closes. */
export const databaseOn = (server: Redacted.Redacted) =>
  Effect.gen(function* () {
    const name = `bench_${randomUUID().replaceAll("-", "")}`
    const administer = (statement: string) =>
      connect({ url: server, applicationName: "gravitas bench" }).pipe(
        Effect.flatMap((connection) => connection.query(statement)),
        Effect.scoped
      )
    yield* Effect.acquireRelease(administer(`create database ${name} template template0`), () =>
      Effect.orDie(administer(`drop database if exists ${name} with (force)`))
    )
    const url = new URL(Redacted.value(server))
    url.pathname = `/${name}`
    return Redacted.make(url.href)
  })

/** A new database on the bench's server. */
export const benchDatabase = Effect.flatMap(benchServer, databaseOn)
