import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { testPostgres } from "../support/TestPostgres.ts"

it.scopedLive(
  "a stop while PostgreSQL is away is obeyed, outlives a kill of the gatekeeper, and reaches the table once",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      const home = yield* temporaryHome
      const start = program({
        args: ["gatekeeper"],
        directory: home,
        environment: {
          GRAVITAS_HOME: home,
          DATABASE_URL: Redacted.value(postgres.url),
          JWT_SECRET_KEY: signingSecret,
          GATEKEEPER_PORT: "0"
        }
      })
      const [admin, old] = yield* Effect.promise(() =>
        Promise.all([tokenOf("Supervisor_Managed_Agent"), tokenOf("Scout")])
      )
      const ask = (url: string) =>
        request(`${url}/validate`, { token: old, body: { action: "read", resource: "vaults/public" } })

      const first = yield* start
      const url = yield* first.url("gatekeeper")
      expect((yield* ask(url)).status).toBe(200)
      yield* postgres.pause
      const stop = yield* request(`${url}/ghosts/Scout/stop`, { token: admin, body: { reason: "drill" } })
      expect(stop).toMatchObject({ status: 202, body: { ghost_id: "Scout", effect: "stop" } })
      expect((yield* ask(url)).status).toBe(401)
      const copies = readdirSync(join(home, "stops"))
      expect(copies).toEqual(["gatekeeper.json"])
      expect(statSync(join(home, "stops", "gatekeeper.json")).mode & 0o777).toBe(0o600)

      yield* first.signal("SIGKILL")
      yield* first.ended()
      yield* postgres.resume
      const second = yield* start
      const again = yield* second.url("gatekeeper")
      expect((yield* ask(again)).status).toBe(401)
      const table = yield* eventually(
        rowsOf(postgres.url, "select id::text as id, effect, reason from gatekeeper.revocation", []),
        (rows) => rows.length > 0
      )
      expect(table).toEqual([{ id: stop.body["id"], effect: "stop", reason: "drill" }])
      const recorded = yield* eventually(
        rowsOf(postgres.url, "select id::text as id from gatekeeper.audit_log where action = 'ghost.stop'", []),
        (rows) => rows.length > 0
      )
      expect(recorded).toEqual([{ id: stop.body["audit_id"] }])
    }),
  120_000
)
