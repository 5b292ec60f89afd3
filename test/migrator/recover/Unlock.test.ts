import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { acquire } from "../../../src/migrator/apply/SchemaLock.ts"
import { unlock } from "../../../src/migrator/recover/Unlock.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { ask, eventsOf, migrateRouter, migrationsOf, tableA } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("unlock", () => {
  it.scopedLive("shows the session that holds the lock, and ends it only if it is named", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* migrateRouter(url, migrations)
      const look = (pid?: number) => unlock(router, Option.fromNullable(pid)).pipe(onRouter(url, migrations))
      expect(yield* look()).toEqual({ service: "router", holder: null, ended: false })

      const bystander = yield* connect({ url, applicationName: "bystander" })
      const holder = yield* connect({ url, applicationName: "gravitas migrate router 42@elsewhere" })
      yield* acquire(holder, "router", Duration.zero)
      const held = yield* look()
      expect(held).toMatchObject({
        ended: false,
        holder: {
          pid: holder.backendPid,
          applicationName: "gravitas migrate router 42@elsewhere",
          state: "idle",
          since: expect.stringMatching(/^20\d\d-/),
          queryStart: expect.stringMatching(/^20\d\d-/)
        }
      })
      const refusal = yield* Effect.flip(look(bystander.backendPid))
      expect(refusal).toMatchObject({ _tag: "UnlockRefused", exitCode: 10 })
      expect(refusal.message).toContain(`pid ${holder.backendPid} does`)
      yield* bystander.query("select 1")

      expect(yield* look(holder.backendPid)).toMatchObject({ ended: true, holder: { pid: holder.backendPid } })
      expect(yield* Effect.flip(holder.query("select 1"))).toMatchObject({ _tag: "DatabaseError" })
      expect(yield* look()).toMatchObject({ holder: null })
      expect((yield* eventsOf(url)).at(-1)).toBe("unlocked")
      expect(
        yield* ask(url, "select details ->> 'pid' as pid from router.schema_event where event = 'unlocked'")
      ).toEqual([{ pid: String(holder.backendPid) }])
    })
  )

  it.scopedLive("neither shows nor ends the holder of the same service's lock in another database", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* freshDatabase, yield* freshDatabase]
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const holder = yield* connect({ url: there, applicationName: "elsewhere" })
      yield* acquire(holder, "router", Duration.zero)
      const look = (pid?: number) => unlock(router, Option.fromNullable(pid)).pipe(onRouter(here, migrations))
      expect((yield* look()).holder).toBe(null)
      expect((yield* Effect.flip(look(holder.backendPid))).message).toContain("(it is free); nothing was ended")
      yield* holder.query("select 1")
      expect((yield* migrateRouter(here, migrations)).to).toBe("0001_a")
    })
  )
})
