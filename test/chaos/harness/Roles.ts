import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { project } from "../../support/Program.ts"

/** A session that may do everything, also where the server would have it read only. */
export const administer = (url: Redacted.Redacted, ...statements: ReadonlyArray<string>) =>
  connect({ url, applicationName: "gravitas chaos" }).pipe(
    Effect.tap((connection) => connection.query("set default_transaction_read_only to off")),
    // One by one: `alter system` refuses to be in a transaction, which several statements in one query are.
    Effect.flatMap((connection) => Effect.forEach(statements, (statement) => connection.query(statement))),
    Effect.scoped,
    Effect.orDie
  )

/** The roles of docs/roles.sql, as a deployment has them: one that owns the schema, and one that the gatekeeper works as. */
export const roles = { owner: "gravitas_owner", application: "gatekeeper_app" } as const

const passwordOf = (role: string) => `${role} password`

/** The connection string as that role. */
export const as = (url: Redacted.Redacted, role: string): Redacted.Redacted => {
  const changed = new URL(Redacted.value(url))
  changed.username = role
  changed.password = passwordOf(role)
  return Redacted.make(changed.href)
}

export const makeRoles = (url: Redacted.Redacted) =>
  Effect.flatMap(
    Effect.promise(() => readFile(join(project, "docs/roles.sql"), "utf8")),
    (script) =>
      administer(
        url,
        script,
        `alter role ${roles.owner} login password '${passwordOf(roles.owner)}'`,
        `create role ${roles.application} login password '${passwordOf(roles.application)}' in role gravitas_gatekeeper`
      )
  )
