import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../domain/Service.ts"
import { EmbeddedPostgres } from "../embedded-postgres/EmbeddedPostgres.ts"
import { embeddedServices, Settings, shutdownShares } from "../platform/config/Settings.ts"
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
