import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../domain/Service.ts"
import { EmbeddedPostgres } from "../embedded-postgres/EmbeddedPostgres.ts"
import { embeddedServices, Settings, shutdownShares } from "../platform/config/Settings.ts"
import { reasonOf } from "../platform/os/FileTrust.ts"
import { Database } from "../platform/postgres/Database.ts"

/**
 * The databases of `services`: their `DATABASE_URL`s, and the embedded PostgreSQL where one of them has none.
 *
 * - `join`: a command uses the embedded server of a running Gravitas; a server needs one of its own.
 * - `beneathPools` ends after the pools and before the embedded server.
 */
export const storage = <E = never, R = never>(
  services: ReadonlyArray<ServiceName>,
  options: { readonly join: boolean; readonly beneathPools?: Layer.Layer<never, E, R> }
) =>
  Layer.unwrapEffect(
    Effect.map(Settings, (settings) => {
      const database = (embedded?: Redacted.Redacted) =>
        Layer.provide(Database.layer(services, embedded), options.beneathPools ?? Layer.empty)
      const isEmbedded = embeddedServices(settings).some((service) => services.includes(service))
      if (!isEmbedded) return database()
      return Layer.provideMerge(
        Layer.unwrapEffect(Effect.map(EmbeddedPostgres, ({ url }) => database(url))),
        EmbeddedPostgres.layer({
          home: Path.resolve(settings.home),
          join: options.join,
          tcpPort: settings.embeddedPostgresPort,
          stopPatience: Duration.times(settings.shutdownDeadline, shutdownShares.postgres)
        })
      )
    })
  )

/** A directory for one command; removed when the scope closes. Root's PostgreSQL runs as another user, which may enter it. */
const temporaryHome = Effect.acquireRelease(
  Effect.tryPromise({
    try: async () => {
      const home = await Fs.mkdtemp(Path.join(await Fs.realpath(Os.tmpdir()), "gravitas-scratch-"))
      await Fs.chmod(home, 0o711)
      return home
    },
    catch: (cause) => ({ message: `no directory for it could be made (${reasonOf(cause)})` })
  }),
  (home) => Effect.promise(() => Fs.rm(home, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined))
)

/** An embedded PostgreSQL that nothing else uses, for what must not touch a server with other users. Its data are not kept. */
export const scratchServer = Effect.gen(function* () {
  const home = yield* temporaryHome
  const settings = { fsync: "off", full_page_writes: "off" }
  const context = yield* Layer.build(EmbeddedPostgres.layer({ home, join: false, settings }))
  return Context.get(context, EmbeddedPostgres).url
})
