import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import { connect } from "../../src/platform/postgres/Connection.ts"

/** The role that makes databases, with its password. */
export const adminUrl: Redacted.Redacted = Redacted.make(inject("adminUrl"))

const administer = (statement: string) =>
  connect({ url: adminUrl, applicationName: "gravitas test" }).pipe(
    Effect.flatMap((connection) => connection.query(statement)),
    Effect.scoped
  )

/** An empty database of one's own, owned by the admin role and dropped, sessions and all, when the scope closes. */
export const freshDatabase = Effect.acquireRelease(
  Effect.suspend(() => {
    const name = `test_${randomUUID().replaceAll("-", "")}`
    return Effect.as(administer(`create database ${name} template template0`), name)
  }),
  (name) => Effect.orDie(administer(`drop database if exists ${name} with (force)`))
).pipe(
  Effect.map((name) => {
    const url = new URL(Redacted.value(adminUrl))
    url.pathname = `/${name}`
    return Redacted.make(url.href)
  })
)
