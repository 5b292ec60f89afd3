import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, migrateRouter, migrationsOf, revision, tableA, tablesOf } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const block = (body: string) => `do $$ begin ${body} end $$;`
/** Text that no check can read, because it is put together while it runs. */
const release = block("execute 'select pg_advisory_' || 'unlock_all()';")

describe("the record of a revision", { timeout: 30_000 }, () => {
  it.scopedLive("is refused where its statements released the lock, and names them", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_b.sql": revision(`create table router.b ();\n${release}`)
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", revision: "0002_b", exitCode: 1 })
      expect(failure.message).toContain("the revision released the migration lock")
      expect(failure.message).toContain("It was rolled back; router stays at 0001_a")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("is refused outside a transaction too, at the statement that released the lock", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(
          `create table router.a ();\n${release}\ncreate table router.b ();`,
          "select 1;",
          " transaction:false"
        )
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1, location: { line: 3 } })
      expect(failure.message).toContain("the revision released the migration lock")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("fails with the cause: another role, a history that is gone, a transaction that is read-only", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const role = `trial_${randomUUID().slice(0, 8)}`
      yield* Effect.acquireRelease(ask(url, `create role ${role}`), () =>
        Effect.orDie(ask(url, `drop owned by ${role}; drop role ${role}`))
      )
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(`create table router.a ();\ngrant usage, create on schema router to ${role};`)
      })
      yield* migrateRouter(url, migrations)
      const failing = (up: string, options = "") =>
        Effect.gen(function* () {
          const next = yield* migrationsOf({
            "router/0001_a.sql": revision(
              `create table router.a ();\ngrant usage, create on schema router to ${role};`
            ),
            "router/0002_b.sql": revision(up, "select 1;", options)
          })
          const failure = yield* Effect.flip(migrateRouter(url, next))
          expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1 })
          return failure.message
        })
      const asRole = `the revision left the session as role ${role}: end it with "reset role"`
      expect(yield* failing(`set role ${role};\ncreate table router.b ();`)).toContain(asRole)
      // The name of the table cannot be resolved by a role that may not use its schema.
      expect(yield* failing(`revoke all on schema router from ${role};\nset role ${role};`)).toContain(asRole)
      expect(yield* failing(block("execute 'drop sche' || 'ma router cascade';"))).toContain(
        "the revision dropped or renamed router.schema_history"
      )
      expect(yield* failing(block("execute 'alter sche' || 'ma router rename to x';"))).toContain(
        "the revision dropped or renamed router.schema_history"
      )
      expect(yield* failing("create table router.b ();\nset transaction read only;")).toContain(
        "the revision left the transaction read-only"
      )
      expect(yield* failing(`alter schema router owner to ${role};\nset session authorization ${role};`)).toContain(
        asRole
      )
      expect(yield* failing(`set role ${role};`, " transaction:false")).toContain(asRole)
    })
  )
})
