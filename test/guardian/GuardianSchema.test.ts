import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rowsOf } from "../support/Gravitas.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

it.scopedLive("the way back from names by agent leaves a name that several use with the session that is active", () =>
  Effect.gen(function* () {
    const url = yield* migratedDatabase
    yield* rowsOf(
      url,
      `insert into guardian.session (session_id, agent, started_at, last_seen_at, ended_at, end_reason)
       select name, agent, now(), now(), ended_at, case when ended_at is not null then 'completed' end
       from (values ('shared', 'a', now()), ('shared', 'b', null), ('shared', 'c', null), ('own', 'a', null))
         as given (name, agent, ended_at)`
    )
    const file = readFileSync("migrations/guardian/0005_session_names_by_agent.sql", "utf8")
    const [, down = ""] = /^-- migrate:down$(.*)^-- migrate:verify$/ms.exec(file) ?? []
    yield* rowsOf(url, down)
    const rows = yield* rowsOf(url, "select agent, session_id from guardian.session order by agent, session_id")
    expect(
      rows.map((row) => `${row["agent"]} ${String(row["session_id"]).replace(/#\d+\.[0-9a-f]{8}$/, "#")}`)
    ).toEqual(["a own", "a shared#", "b shared", "c shared#"])
  })
)
