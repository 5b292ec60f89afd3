import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import type * as Redacted from "effect/Redacted"
import { migrate } from "../../../src/migrator/apply/Migrate.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import { ask, environment, migrationsOf, quiet, revision } from "../../support/migrator/Fixture.ts"
import { router } from "../../support/migrator/Services.ts"
import { disagreements, type Made, type Row } from "./Agreement.ts"

/** A move of the walk. `kill`: after so many milliseconds the server ends the migrator's session. */
export type Move =
  | { readonly _tag: "Up" | "Down"; readonly to: number; readonly kill: number | null }
  | { readonly _tag: "Edit"; readonly revision: number }
  | { readonly _tag: "Repair"; readonly kill: number | null }

const stepwise = (up: string, down: string): string =>
  revision(up, down, " transaction:false").replace("migrate:down", "migrate:down transaction:false")

/** The pauses give kills a chance. Each statement creates or drops one object. */
const files = {
  "router/0001_a.sql": revision(
    "create table router.a (id int);\nselect pg_sleep(0.01);",
    "select pg_sleep(0.01);\ndrop table router.a;"
  ),
  "router/0002_b.sql": stepwise(
    "create table router.b1 ();\ncreate table router.b2 ();\ncreate table router.b3 ();",
    "drop table router.b3;\ndrop table router.b2;\ndrop table router.b1;"
  ),
  "router/0003_c.sql": revision("create table router.c ();", "drop table router.c;"),
  "router/0004_d.sql": stepwise(
    "create index concurrently a_id on router.a (id);\ncreate table router.d ();",
    "drop table router.d;\ndrop index concurrently router.a_id;"
  ),
  "router/0005_e.sql": revision("create table router.e ();\nselect pg_sleep(0.01);", "drop table router.e;")
}

const made: ReadonlyArray<Made> = [
  { revision: 1, objects: ["a"] },
  { revision: 2, objects: ["b1", "b2", "b3"] },
  { revision: 3, objects: ["c"] },
  { revision: 4, objects: ["a_id", "d"] },
  { revision: 5, objects: ["e"] }
]

const number = FastCheck.integer({ min: 1, max: made.length })
const kill = FastCheck.option(FastCheck.integer({ min: 5, max: 120 }), { freq: 2 })

export const moves: FastCheck.Arbitrary<ReadonlyArray<Move>> = FastCheck.array(
  FastCheck.oneof<Array<FastCheck.MaybeWeightedArbitrary<Move>>>(
    { weight: 5, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Up" as const), to: number, kill }) },
    {
      weight: 4,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Down" as const),
        to: FastCheck.integer({ min: 0, max: made.length - 1 }),
        kill
      })
    },
    { weight: 1, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Edit" as const), revision: number }) },
    { weight: 2, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Repair" as const), kill }) }
  ),
  { minLength: 1, maxLength: 10 }
)

const mine = "datname = current_database() and application_name like 'gravitas migrate %'"

/** Runs `effect` and ends its session after the pause; waits until the server has ended it. */
const cutOff = <A, E, R>(effect: Effect.Effect<A, E, R>, url: Redacted.Redacted, after: number | null) => {
  if (after === null) return effect
  const cut = ask(url, `select pg_terminate_backend(pid) from pg_stat_activity where ${mine}`)
  const gone = ask(url, `select from pg_stat_activity where ${mine}`).pipe(
    Effect.repeat({ until: (rows) => rows.length === 0 })
  )
  return Effect.all([effect, Effect.delay(cut, Duration.millis(after))], { concurrency: 2 }).pipe(
    Effect.ensuring(Effect.orDie(gone))
  )
}

const state = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const [schema] = yield* ask(url, "select to_regclass('router.schema_history') is not null as made")
    const history =
      schema?.["made"] === true
        ? yield* ask(url, "select revision, state, steps_done from router.schema_history order by revision")
        : []
    const found = yield* ask(
      url,
      `select c.relname as name from pg_class c left join pg_index i on i.indexrelid = c.oid
       where c.relnamespace = to_regnamespace('router') and coalesce(i.indisvalid, true)`
    )
    const rows = history.map(
      (row): Row => ({
        revision: Number(row["revision"]),
        state: row["state"] === "applying" ? "applying" : row["state"] === "reverting" ? "reverting" : "applied",
        steps_done: Number(row["steps_done"])
      })
    )
    return { rows, catalog: new Set(found.map(({ name }) => String(name))) }
  })

/**
 * Walks and compares history and catalog after each move, then returns to head with `upgrade` and `repair` alone. Returns the
 * problems; empty if there are none.
 */
export const walk = (url: Redacted.Redacted, path: ReadonlyArray<Move>) =>
  Effect.gen(function* () {
    const migrations = yield* migrationsOf(files)
    const here = environment({ url, migrations, services: ["router"] })
    const upgrade = Effect.either(migrate(router, Target.Head()))
    const play = (move: Move) => {
      switch (move._tag) {
        case "Up":
          return cutOff(migrate(router, Target.UpTo({ number: move.to, slug: null })), url, move.kill)
        case "Down":
          return cutOff(migrate(router, Target.DownTo({ number: move.to, slug: null })), url, move.kill)
        case "Repair":
          return cutOff(repair(router, Repair.Retry()), url, move.kill)
        case "Edit": {
          const name = Object.keys(files)[move.revision - 1] ?? ""
          const file = join(migrations, name)
          // After the last statement, so that none of them changes.
          return Effect.promise(async () =>
            writeFile(
              file,
              (await readFile(file, "utf8")).replace("\n\n-- migrate:down", "\n-- edited\n\n-- migrate:down")
            )
          )
        }
      }
    }
    const judged = Effect.map(state(url), ({ catalog, rows }) => disagreements(made, rows, catalog))
    const problems: Array<string> = []
    for (const [index, move] of path.entries()) {
      // A refusal is judged by the state that it leaves.
      yield* Effect.either(Effect.provide(play(move), here))
      problems.push(...(yield* judged).map((problem) => `after move ${index + 1} ${JSON.stringify(move)}: ${problem}`))
    }
    const back = Effect.gen(function* () {
      for (let attempt = 0; attempt < made.length + 3; attempt++) {
        const outcome = yield* upgrade
        if (Either.isRight(outcome)) return []
        const refusal = outcome.left
        if (refusal._tag === "ChecksumMismatch") {
          for (const { file } of refusal.files) {
            const edited = Number(/(\d{4})_\w+\.sql$/.exec(file)?.[1])
            const accept = Repair.AcceptChecksum({ number: edited, slug: null, reason: "the walk edited it" })
            yield* Effect.either(repair(router, accept))
          }
        } else {
          const again = yield* Effect.either(repair(router, Repair.Retry()))
          if (Either.isLeft(again) && attempt > made.length) {
            return [`did not reach head: ${refusal.message}\nand repair: ${again.left.message}`]
          }
        }
      }
      return ["did not reach head in this many attempts"]
    })
    problems.push(...(yield* Effect.provide(back, here)))
    const end = yield* state(url)
    const whole = made.map((one): Row => ({ revision: one.revision, state: "applied", steps_done: one.objects.length }))
    if (problems.length === 0) problems.push(...disagreements(made, whole, end.catalog))
    return problems
  }).pipe(Effect.scoped, Effect.provide(quiet))
