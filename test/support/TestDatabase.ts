import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { commandFor } from "./Program.ts"

/** The role that makes databases, with its password. */
export const adminUrl: Redacted.Redacted = Redacted.make(inject("adminUrl"))

/** The run's database with the schemas of all services, which `migratedDatabase` copies. The first copy makes it. */
const template = inject("templateDatabase")

const urlOf = (database: string): Redacted.Redacted => {
  const url = new URL(Redacted.value(adminUrl))
  url.pathname = `/${database}`
  return Redacted.make(url.href)
}

const administer = (...statements: ReadonlyArray<string>) =>
  connect({ url: adminUrl, applicationName: "gravitas test" }).pipe(
    Effect.flatMap((connection) => Effect.forEach(statements, (statement) => connection.query(statement))),
    Effect.scoped
  )

/** Copies files instead of pages through the server's cache: half the processor time. PostgreSQL 14 knows no other way. */
const copyOf = (source: string) => (name: string) =>
  administer(`create database ${name} template ${source} strategy file_copy`).pipe(
    Effect.catchIf(
      ({ sqlstate }) => sqlstate === "42601",
      () => administer(`create database ${name} template ${source}`)
    )
  )

const databaseBy = <E>(create: (name: string) => Effect.Effect<unknown, E>) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = `test_${randomUUID().replaceAll("-", "")}`
      return Effect.as(create(name), name)
    }),
    (name) => Effect.orDie(administer(`drop database if exists ${name} with (force)`))
  ).pipe(Effect.map(urlOf))

/** An empty database of one's own, owned by the admin role and dropped, sessions and all, when the scope closes. */
export const freshDatabase = databaseBy(copyOf("template0"))

/** Makes the template once for all test processes: the others wait for the lock, and find it made. */
const makeTemplate = connect({ url: adminUrl, applicationName: "gravitas test" }).pipe(
  Effect.flatMap((connection) =>
    Effect.gen(function* () {
      yield* connection.query("select pg_advisory_lock(hashtextextended($1, 0))", [template], { deadline: null })
      const made = yield* connection.query("select from pg_database where datname = $1", [template])
      if (made.rowCount > 0) return
      const unfinished = `${template}_unfinished`
      yield* connection.query(`drop database if exists ${unfinished}`)
      yield* connection.query(`create database ${unfinished} template template0`)
      const [command, ...words] = commandFor("src/main.ts")
      yield* Effect.promise(() =>
        promisify(execFile)(command, [...words, "migrate"], {
          cwd: "/",
          env: { PATH: process.env["PATH"], DATABASE_URL: Redacted.value(urlOf(unfinished)) }
        })
      )
      yield* connection.query(`alter database ${unfinished} rename to ${template}`)
    })
  ),
  Effect.scoped
)

/** Each trail has an id of its own: a journal that names it must not fit another test's database. */
const newTrail = `
  alter table gatekeeper.audit_trail disable trigger audit_trail_append_only;
  update gatekeeper.audit_trail set id = gen_random_uuid(), created_at = clock_timestamp();
  alter table gatekeeper.audit_trail enable always trigger audit_trail_append_only`

const copyTemplate = (name: string) => {
  const copy = copyOf(template)(name)
  return copy.pipe(
    Effect.catchIf(
      ({ sqlstate }) => sqlstate === "3D000",
      () => Effect.zipRight(makeTemplate, copy)
    )
  )
}

/** A copy of a database that nothing is connected to, as a restored backup is: with all rows, and the same trail. */
export const copyOfDatabase = (url: Redacted.Redacted) =>
  databaseBy(copyOf(new URL(Redacted.value(url)).pathname.slice(1)))

/** As `freshDatabase`, with the schemas of all services at head. For tests of what a service does on them. */
export const migratedDatabase = databaseBy(copyTemplate).pipe(
  Effect.tap((url) =>
    connect({ url, applicationName: "gravitas test" }).pipe(
      Effect.flatMap((connection) => connection.query(newTrail)),
      Effect.scoped
    )
  )
)
