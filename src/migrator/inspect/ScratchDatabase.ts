import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import { connect } from "../../platform/postgres/Connection.ts"
import { Database, displayAddress } from "../../platform/postgres/Database.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { DatabaseRefusal } from "../apply/Session.ts"

const refused = (service: ServiceName, url: Redacted.Redacted) => (cause: DatabaseError) =>
  new DatabaseRefusal({
    service,
    address: displayAddress(url),
    during: "creating a scratch database",
    cause,
    remedy:
      cause.sqlstate === "42501"
        ? "The role must be allowed to create databases: alter role <role> createdb; or name another with --database-url"
        : `Check PostgreSQL there, then: pnpm migrate --service ${service} test`
  })

/**
 * Creates an empty database with a random name beside the service's own, on the same server with the same role. It is dropped with
 * its sessions when the scope closes, also after an interruption. It copies template0, which no session can have open.
 */
export const scratchDatabase = (service: ServiceName) =>
  Effect.gen(function* () {
    const url = (yield* Database).url(service, "migration")
    const name = `gravitas_scratch_${randomUUID().replaceAll("-", "").slice(0, 16)}`
    const administer = (statement: string) =>
      connect({ url, applicationName: "gravitas migrate test" }).pipe(
        Effect.flatMap((connection) => connection.query(statement)),
        Effect.scoped
      )
    yield* Effect.acquireRelease(
      Effect.mapError(administer(`create database ${name} template template0`), refused(service, url)),
      () =>
        administer(`drop database if exists ${name} with (force)`).pipe(
          // The timeout also runs it in a new fiber: connecting would not work in one that is already interrupted.
          Effect.timeoutFail({
            duration: "10 seconds",
            onTimeout: () => new DatabaseError({ phase: "statement", reason: "no answer within 10s" })
          }),
          Effect.catchAll(({ message }) =>
            Effect.logWarning(
              `the scratch database ${name} could not be dropped (${message}); as its owner: drop database ${name}`
            )
          )
        )
    )
    const scratch = new URL(Redacted.value(url))
    scratch.pathname = `/${name}`
    return Redacted.make(scratch.href)
  })

/** Runs an effect with `url` as the database of every service and purpose. It has no application pool. */
export const inDatabase =
  (url: Redacted.Redacted) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Database>> =>
    Effect.provideService(effect, Database, {
      url: () => url,
      address: () => displayAddress(url),
      pool: () => {
        throw new Error("a scratch database has no application pool")
      }
    })
