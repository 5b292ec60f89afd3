import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"
import { until } from "../support/RemoteTrail.ts"
import { testPostgres } from "../support/TestPostgres.ts"

const policy = join(import.meta.dirname, "../gatekeeper/fixtures/authzen-policy.yaml")

const about = (subject: string, action: string) => ({
  subject: { type: "user", id: subject },
  action: { name: action },
  resource: { type: "record", id: "record-1" }
})

it.scopedLive(
  "of evaluations that are not answered since one of them cannot be recorded, every decision is withdrawn",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      const running = yield* program({
        args: ["gatekeeper"],
        environment: {
          DATABASE_URL: Redacted.value(postgres.url),
          JWT_SECRET_KEY: signingSecret,
          ACCESS_POLICY_PATH: policy,
          AUDIT_DURABILITY_BY_RESULT: "DENIED=commit",
          AUDIT_COMMIT_DEADLINE: "500ms"
        }
      })
      const gatekeeper = yield* running.url("gatekeeper")
      const token = yield* Effect.promise(() => tokenOf("Enforcer"))
      const ask = (id: string) =>
        request(`${gatekeeper}/access/v1/evaluations`, {
          token,
          headers: { "x-request-id": id },
          body: { evaluations: [about("alice", "read"), about("bob", "read"), about("bob", "write")] }
        })
      expect((yield* ask("answered")).status).toBe(200)
      yield* postgres.stop
      expect(yield* ask("withdrawn")).toMatchObject({ status: 503, body: { error: { code: "audit_unavailable" } } })
      yield* Effect.orDie(postgres.start)
      const rows = yield* until(
        rowsOf(
          postgres.url,
          `select id, result, ghost_id, metadata ->> 'audit_id' as of from gatekeeper.audit_log
           where request_id = 'withdrawn' order by id`
        ),
        (found) => found.length === 8
      )
      const decided = rows.filter(({ result }) => result !== "WITHDRAWN")
      expect(decided.map(({ ghost_id, result }) => `${ghost_id} ${result}`)).toEqual([
        "Enforcer ALLOWED",
        "alice ALLOWED",
        "bob ALLOWED",
        "bob DENIED"
      ])
      const withdrawn = rows.filter(({ result }) => result === "WITHDRAWN").map((row) => String(row["of"]))
      expect(withdrawn.toSorted()).toEqual(decided.map(({ id }) => String(id)).toSorted())
      expect(
        yield* rowsOf(
          postgres.url,
          "select 1 from gatekeeper.audit_log where request_id = 'answered' and result = 'WITHDRAWN'"
        )
      ).toEqual([])
    }),
  120_000
)
