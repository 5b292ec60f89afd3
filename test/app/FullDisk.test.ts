import * as Fs from "node:fs"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { skipBecause } from "../support/SkipBecause.ts"
import { isMountable, notMountable, smallDisk } from "../support/SmallDisk.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

it.scopedLive(
  "a home that is full of the journal refuses, logs that once, and accepts again when space is free or all is committed",
  (context) =>
    Effect.gen(function* () {
      if (!isMountable) return skipBecause(context, notMountable)
      const databaseUrl = yield* migratedDatabase
      const home = yield* smallDisk("2m")
      const ballast = Path.join(home, "ballast")
      Fs.writeFileSync(ballast, Buffer.alloc(24 * 2 ** 10))
      const running = yield* program({
        args: ["gatekeeper"],
        environment: {
          GRAVITAS_HOME: home,
          DATABASE_URL: Redacted.value(databaseUrl),
          JWT_SECRET_KEY: signingSecret
        }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const token = yield* Effect.promise(() => tokenOf("Librarian"))
      const body = { action: "read", resource: "vaults/a", metadata: { text: "x".repeat(3_000) } }
      const answered: Array<unknown> = []
      let refused = 0
      const ask = Effect.map(request(`${gatekeeper}/validate`, { token, body }), (answer) => {
        if (answer.status === 200) answered.push(answer.body["audit_id"])
        else refused += 1
        return answer
      })
      const untilRefused = Effect.gen(function* () {
        for (let asked = 0; asked < 2_000; asked++) {
          const { body, status } = yield* ask
          if (status !== 200) return { status, text: JSON.stringify(body) }
        }
        return yield* Effect.dieMessage("it never refused")
      })
      const logged = (pattern: RegExp, count: number) =>
        eventually(Effect.sync(running.output), (text) => [...text.matchAll(pattern)].length === count)
      const refuses = /The audit trail refuses events, \d+ so far: .*ENOSPC/g
      const accepts = /The audit trail accepts events again after .*; it refused (\d+) of them/g

      // PostgreSQL writes nothing while the table is locked.
      const holder = yield* connect({ url: databaseUrl, applicationName: "gravitas test" })
      yield* holder.query("begin; lock table gatekeeper.audit_log in access exclusive mode")
      const refusal = yield* untilRefused
      expect(refusal.status).toBe(503)
      expect(refusal.text).toContain("ENOSPC")
      yield* logged(refuses, 1)

      // A few kilobytes are enough, also while nothing is committed.
      Fs.rmSync(ballast)
      yield* eventually(ask, ({ status }) => status === 200)
      yield* logged(accepts, 1)

      yield* untilRefused
      yield* logged(refuses, 2)
      yield* holder.query("rollback")
      yield* eventually(ask, ({ status }) => status === 200)
      yield* logged(accepts, 2)
      for (let more = 0; more < 700; more++) yield* ask
      expect((yield* request(`${gatekeeper}/readyz`)).status).toBe(200)
      const counts = [...running.output().matchAll(accepts)].map(([, count]) => Number(count))
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(refused)

      yield* running.signal("SIGTERM")
      expect((yield* running.ended()).code).toBe(0)
      const rows = yield* rowsOf(
        databaseUrl,
        "select id from gatekeeper.audit_log where resource = 'vaults/a' and result = 'ALLOWED'"
      )
      expect(rows.map((row) => row["id"]).toSorted()).toEqual(answered.toSorted())
    }),
  120_000
)
