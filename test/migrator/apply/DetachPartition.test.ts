import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { diagnose } from "../../../src/migrator/recover/Diagnosis.ts"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { ask, migrateRouter, migrationsOf, revision } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const detach = "alter table router.pt detach partition router.p1 concurrently;"
const files = (then = "") => ({
  "router/0001_pt.sql": revision(
    "create table router.pt (n int) partition by list (n);\ncreate table router.p1 partition of router.pt for values in (1);"
  ),
  "router/0002_detach.sql": revision(`${detach}${then}`, "select 1;", " transaction:false statement_timeout:500ms")
})
const pending = "select inhdetachpending as pending from pg_inherits where inhrelid = 'router.p1'::regclass"

/** Runs `work` while a transaction still sees the partition, so that the detach is cut off by its statement_timeout. */
const whileRead = <A, E, R>(url: Redacted.Redacted, work: Effect.Effect<A, E, R>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* connect({ url, applicationName: "reporting" })
      yield* reader.query("begin; select count(*) from router.pt")
      return yield* work
    })
  )

describe("a concurrent detach that was cut off", { timeout: 30_000 }, () => {
  it.scopedLive("is finished by repair --retry, which says so before", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(files("\nselect 1;"))
      yield* migrateRouter(url, yield* migrationsOf({ "router/0001_pt.sql": files()["router/0001_pt.sql"] }))
      const failure = yield* whileRead(url, Effect.flip(migrateRouter(url, migrations)))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1, cause: { sqlstate: "57014" } })
      expect(failure.message).toContain(
        "partition router.p1 is left half detached: pnpm migrate --service router repair --retry"
      )
      expect(yield* ask(url, pending)).toEqual([{ pending: true }])

      const again = yield* Effect.flip(migrateRouter(url, migrations))
      expect(again).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(again.message).toContain("detaching partition router.p1 from router.pt was cut off, and is pending")
      const { pendingDetaches, remedies } = yield* diagnose(router).pipe(onRouter(url, migrations))
      expect(pendingDetaches).toEqual(["router.p1 of router.pt"])
      expect(remedies[0]).toEqual({
        command: "pnpm migrate --service router repair --retry",
        does: "finishes the detach that the statement began (router.p1), and continues"
      })

      const repaired = yield* repair(router, Repair.Retry()).pipe(onRouter(url, migrations))
      expect(repaired).toMatchObject({ did: "finished detaching router.p1 and continued", current: "0002_detach" })
      expect(yield* ask(url, pending)).toEqual([])
      expect(yield* ask(url, "select to_regclass('router.p1') is not null as kept")).toEqual([{ kept: true }])
    })
  )

  it.scopedLive("continues where it was finished by hand, and names one that no revision began", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(files())
      yield* migrateRouter(url, yield* migrationsOf({ "router/0001_pt.sql": files()["router/0001_pt.sql"] }))
      yield* whileRead(url, Effect.flip(migrateRouter(url, migrations)))
      const finalize = 'alter table "router"."pt" detach partition "router"."p1" finalize'
      yield* ask(url, finalize)
      expect((yield* migrateRouter(url, migrations)).to).toBe("0002_detach")

      yield* ask(url, "alter table router.pt attach partition router.p1 for values in (1)")
      yield* whileRead(
        url,
        Effect.scoped(
          Effect.flatMap(connect({ url, applicationName: "by hand" }), (connection) =>
            Effect.zipRight(connection.query("set statement_timeout = 300"), Effect.flip(connection.query(detach)))
          )
        )
      )
      const { remedies } = yield* diagnose(router).pipe(onRouter(url, migrations))
      expect(remedies).toEqual([
        { command: `psql -c ${JSON.stringify(finalize)}`, does: "finishes the detach that was cut off" }
      ])
    })
  )
})
