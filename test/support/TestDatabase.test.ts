import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { serviceNames } from "../../src/domain/Service.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { shippedRevisions } from "./migrator/Shipped.ts"
import { query } from "./Rows.ts"
import { adminUrl, freshDatabase, migratedDatabase } from "./TestDatabase.ts"

const nameOf = (url: Redacted.Redacted) => new URL(Redacted.value(url)).pathname.slice(1)

const databases = connect({ url: adminUrl, applicationName: "test" }).pipe(
  Effect.flatMap((connection) => connection.query("select datname from pg_catalog.pg_database")),
  Effect.map(({ rows }) => rows.map(({ datname }) => datname)),
  Effect.scoped
)

it.live("each asker gets an empty database of his own, which is gone after the scope", () =>
  Effect.gen(function* () {
    const names = yield* Effect.scoped(
      Effect.gen(function* () {
        const urls = yield* Effect.all([freshDatabase, freshDatabase], { concurrency: 2 })
        for (const url of urls) {
          const connection = yield* connect({ url, applicationName: "test" })
          yield* connection.query("create table only_here ()")
        }
        const made = urls.map(nameOf)
        expect(yield* databases).toEqual(expect.arrayContaining(made))
        return made
      })
    )
    expect(new Set(names).size).toBe(2)
    const left = yield* databases
    for (const name of names) expect(left).not.toContain(name)
  })
)

it.scopedLive("is dropped although another session is still open in it", () =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const name = yield* Effect.scoped(
      Effect.gen(function* () {
        const url = yield* freshDatabase
        yield* Scope.extend(connect({ url, applicationName: "test" }), outer)
        return nameOf(url)
      })
    )
    expect(yield* databases).not.toContain(name)
  })
)

it.scopedLive("a migrated database has every schema at head, and a trail of its own that is append-only", () =>
  Effect.gen(function* () {
    const urls = yield* Effect.all([migratedDatabase, migratedDatabase], { concurrency: 2 })
    const trails = new Set<unknown>()
    for (const url of urls) {
      for (const service of serviceNames) {
        expect(yield* query(url, `select revision from ${service}.schema_version`)).toEqual([
          { revision: shippedRevisions(service).length }
        ])
      }
      const [trail, ...others] = yield* query(url, "select id from gatekeeper.audit_trail")
      expect(others).toEqual([])
      trails.add(trail?.["id"])
      const change = yield* Effect.flip(query(url, "update gatekeeper.audit_trail set id = gen_random_uuid()"))
      expect(change).toMatchObject({ sqlstate: "42501" })
      expect(
        yield* query(
          url,
          "select tgenabled from pg_trigger where tgrelid = 'gatekeeper.audit_trail'::regclass and not tgisinternal"
        )
      ).toEqual([{ tgenabled: "A" }])
    }
    expect(trails.size).toBe(2)
  })
)
