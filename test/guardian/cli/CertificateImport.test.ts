import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { AuditUnavailable } from "../../../src/audit/AuditUnavailable.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { Certificates } from "../../../src/guardian/certificates/Certificates.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { certificateFiles, importCertificates } from "../../../src/guardian/cli/CertificateImport.ts"
import { rowsOf } from "../../support/Gravitas.ts"
import { guardianGround, guardianRooms } from "../../support/GuardianLayers.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { migratedDatabase } from "../../support/TestDatabase.ts"

/** A trail whose `failing`th event does not get in. */
const trailThatFails = (
  failing: number,
  events: Array<AuditEvent>,
  withdrawn: Array<readonly [string | null, string]>
) =>
  Layer.succeed(AuditLog, {
    record: (event) =>
      Effect.suspend(() => {
        events.push(event)
        return events.length === failing
          ? Effect.fail(new AuditUnavailable({ reason: "full", detail: "as told" }))
          : Effect.succeed("00000000-0000-7000-8000-000000000000" as never)
      }),
    withdraw: ({ resource }, _, why) => Effect.sync(() => void withdrawn.push([resource, why])),
    accepting: Effect.succeed(true),
    status: Effect.dieMessage("not asked for")
  })

const file = (agent: string) =>
  JSON.stringify({
    agent_name: agent,
    issued_at: "2025-01-01T00:00:00Z",
    expires_at: "2035-01-01T00:00:00Z",
    version: 1
  })

const importing = Effect.gen(function* () {
  const databaseUrl = yield* migratedDatabase
  const directory = yield* temporaryHome
  const run = (options: { readonly failing?: number; readonly dryRun?: boolean } = {}) => {
    const events: Array<AuditEvent> = []
    const withdrawn: Array<readonly [string | null, string]> = []
    const ground = options.dryRun === true ? guardianGround(databaseUrl) : guardianRooms(databaseUrl)
    const request = { directory, resign: true, assumeUtc: false, dryRun: false, by: "test", ...options }
    return Effect.flatMap(certificateFiles(directory), (names) => importCertificates(request, names)).pipe(
      Effect.map((found) => found.map(({ file: name, outcome, reason }) => `${name}: ${reason ?? outcome}`)),
      Effect.provide(trailThatFails(options.failing ?? -1, events, withdrawn)),
      Effect.provide(Layer.fresh(Layer.provideMerge(Certificates.layer, SigningKeys.layer))),
      Effect.provide(ground),
      Effect.sandbox,
      Effect.mapError(Cause.squash),
      Effect.either,
      Effect.map((outcome) => ({ outcome, events, withdrawn }))
    )
  }
  const inForce = rowsOf(databaseUrl, "select agent from guardian.certificate where revoked_at is null order by agent")
  return { databaseUrl, directory, run, inForce }
})

describe("An import of certificates", () => {
  it.scopedLive("that the trail stopped can be repeated: certificates that were not recorded are imported then", () =>
    Effect.gen(function* () {
      const { directory, inForce, run } = yield* importing
      for (const agent of ["A", "B", "C"]) writeFileSync(join(directory, `${agent}.json`), file(agent))
      const stopped = yield* run({ failing: 2 })
      expect(stopped.outcome).toMatchObject({ left: { _tag: "ImportStopped", done: 1 } })
      expect(yield* inForce).toEqual([{ agent: "A" }])
      const repeated = yield* run()
      expect(repeated.outcome).toMatchObject({ right: ["A.json: present", "B.json: resigned", "C.json: resigned"] })
      expect(repeated.events.map(({ resource }) => resource)).toEqual(["certificates/B", "certificates/C"])
      expect(yield* inForce).toEqual([{ agent: "A" }, { agent: "B" }, { agent: "C" }])
    })
  )

  it.scopedLive("withdraws the row of a certificate that the table refuses at the commit", () =>
    Effect.gen(function* () {
      const { databaseUrl, directory, inForce, run } = yield* importing
      yield* run()
      yield* rowsOf(
        databaseUrl,
        `create function guardian.refuse() returns trigger language plpgsql as $$
         begin raise exception 'not this one' using errcode = '23514'; end $$`
      )
      yield* rowsOf(
        databaseUrl,
        `create constraint trigger refuse after insert on guardian.certificate deferrable initially deferred
         for each row execute function guardian.refuse()`
      )
      writeFileSync(join(directory, "A.json"), file("A"))
      const { events, outcome, withdrawn } = yield* run()
      expect(outcome).toMatchObject({ left: { _tag: "DatabaseError", sqlstate: "23514" } })
      expect(events).toMatchObject([{ action: "certificate.import", result: "ALLOWED" }])
      expect(withdrawn).toEqual([["certificates/A", "the import failed"]])
      expect(yield* inForce).toEqual([])
    })
  )

  it.scopedLive("can be tried on a database that has no schema yet, and leaves it so", () =>
    Effect.gen(function* () {
      const { directory, run } = yield* importing
      writeFileSync(join(directory, "A.json"), file("A"))
      const tried = yield* run({ dryRun: true })
      expect(tried.outcome).toMatchObject({ right: ["A.json: accepted"] })
      expect((yield* run()).outcome).toMatchObject({ right: ["A.json: resigned"] })
      expect((yield* run({ dryRun: true })).outcome).toMatchObject({ right: ["A.json: present"] })
    })
  )

  it.scopedLive("takes no revocation back: without its signature, a revoked certificate is still the same one", () =>
    Effect.gen(function* () {
      const { databaseUrl, directory, inForce, run } = yield* importing
      const now = Math.floor(Date.now() / 1_000)
      const rooms = Layer.provideMerge(Certificates.layer, SigningKeys.layer).pipe(
        Layer.provide(guardianRooms(databaseUrl))
      )
      const issued = yield* Effect.gen(function* () {
        const certificates = yield* Certificates
        const { claims } = yield* certificates.issue({ agent: "A", version: 1, issuedAt: now, expiresAt: now + 3_600 })
        yield* certificates.revoke(claims.jti, { ghostId: "admin", reason: "lost" })
        return claims
      }).pipe(Effect.provide(Layer.fresh(rooms)))
      const iso = (seconds: number) => new Date(seconds * 1_000).toISOString()
      const unsigned = { agent_name: "A", version: 1, issued_at: iso(issued.iat), expires_at: iso(issued.exp) }
      writeFileSync(join(directory, "A.json"), JSON.stringify(unsigned))
      expect((yield* run()).outcome).toMatchObject({
        right: [expect.stringMatching(/^A.json: it was revoked at .*Z$/)]
      })
      expect(yield* inForce).toEqual([])
    })
  )

  it.scopedLive("reads no file whose length is not known: a file of the kernel may have no end", () =>
    Effect.gen(function* () {
      const { directory, run } = yield* importing
      symlinkSync("/proc/self/environ", join(directory, "A.json"))
      writeFileSync(join(directory, "B.json"), "")
      expect((yield* run()).outcome).toMatchObject({ right: ["A.json: it is empty", "B.json: it is empty"] })
    })
  )
})
