import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { rowsOf } from "../../support/Gravitas.ts"
import { guardianRooms } from "../../support/GuardianRooms.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("Certificates", () => {
  it.scopedLive(
    "are found by their agent without a look at all others, where it has none in force or none at all",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
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
