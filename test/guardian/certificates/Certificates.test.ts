import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { GuardianDatabase } from "../../../src/guardian/GuardianDatabase.ts"
import { rowsOf } from "../../support/Gravitas.ts"
import { guardianRooms } from "../../support/GuardianLayers.ts"
import { migratedDatabase } from "../../support/TestDatabase.ts"

describe("Certificates", () => {
  it.scopedLive("are revoked in one transaction: what was done is answered so, also where the pool is busy then", () =>
    Effect.gen(function* () {
      const url = yield* migratedDatabase
      const asked = Effect.gen(function* () {
        const certificates = yield* Certificates
        const { sql } = yield* GuardianDatabase
        const now = Math.floor(Date.now() / 1_000)
        const { claims } = yield* certificates.issue({ agent: "a", version: 1, issuedAt: now, expiresAt: now + 3_600 })
        const busy = yield* Effect.fork(
          Effect.forEach(Array.from({ length: 20 }), () => sql`select pg_sleep(60)`, { concurrency: "unbounded" })
        )
        yield* rowsOf(url, "select from pg_stat_activity where query like 'select pg_sleep%'").pipe(
          Effect.filterOrFail((rows) => rows.length >= 10),
          Effect.retry(Schedule.spaced("50 millis")),
          Effect.timeout("20 seconds")
        )
        const revoked = yield* certificates.revoke(claims.jti, { ghostId: "admin", reason: "lost" })
        const again = yield* certificates.revoke(claims.jti, { ghostId: "admin", reason: "found" })
        expect(revoked).toMatchObject({ id: claims.jti, agent: "a", reason: "lost", sessions: [] })
        expect(again).toEqual(revoked)
        expect(yield* certificates.revoke(randomUUID(), { ghostId: "admin", reason: null })).toBeUndefined()
        yield* Fiber.interruptFork(busy)
      })
      const rooms = Layer.provide(Certificates.layer, SigningKeys.layer).pipe(
        Layer.provideMerge(GuardianDatabase.layer),
        Layer.provideMerge(guardianRooms(url))
      )
      yield* Effect.provide(asked, Layer.fresh(rooms))
    })
  )

  it.scopedLive(
    "are found by their agent without a look at all others, where it has none in force or none at all",
    () =>
      Effect.gen(function* () {
        const url = yield* migratedDatabase
        const asked = Effect.gen(function* () {
          const certificates = yield* Certificates
          yield* rowsOf(
            url,
            `insert into guardian.certificate (jti, agent, issued_at, expires_at, key_id, signature)
           select gen_random_uuid(), 'many-' || n % 2000, now() - interval '2 years', now() - interval '1 year', 'k', 's'
           from generate_series(1, 20000) n`
          )
          yield* rowsOf(url, "analyze guardian.certificate")
          for (let index = 0; index < 10; index++) {
            expect((yield* Effect.flip(certificates.inForce(`many-${index}`)))._tag).toBe("NotCertified")
            expect((yield* Effect.flip(certificates.inForce(randomUUID())))._tag).toBe("NotCertified")
            expect((yield* certificates.list({ agent: `many-${index}`, limit: 5 })).total).toBe(10)
          }
        })
        const rooms = Layer.provide(Certificates.layer, SigningKeys.layer).pipe(Layer.provide(guardianRooms(url)))
        yield* Effect.provide(asked, Layer.fresh(rooms))
        // Sessions tell of their scans when they end.
        yield* Effect.sleep("200 millis")
        const [row] = yield* rowsOf(
          url,
          "select seq_scan::int as scans from pg_stat_user_tables where relid = 'guardian.certificate'::regclass"
        )
        expect(row?.["scans"]).toBeLessThan(5)
      })
  )
})
