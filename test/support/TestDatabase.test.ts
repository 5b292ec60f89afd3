import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { adminUrl, freshDatabase } from "./TestDatabase.ts"

const nameOf = (url: Redacted.Redacted) => new URL(Redacted.value(url)).pathname.slice(1)

const databases = connect({ url: adminUrl, applicationName: "test" }).pipe(
  Effect.flatMap((connection) => connection.query("select datname from pg_catalog.pg_database")),
  Effect.map(({ rows }) => rows.map(({ datname }) => datname)),
  Effect.scoped
)

it.live("each asker gets an empty database of his own, which is gone after the scope", () =>
  Effect.gen(function* () {
    const names = yield* Effect.scoped(
      Effect.gen(function* () {
        const urls = yield* Effect.all([freshDatabase, freshDatabase], { concurrency: 2 })
        for (const url of urls) {
          const connection = yield* connect({ url, applicationName: "test" })
          yield* connection.query("create table only_here ()")
        }
        const made = urls.map(nameOf)
        expect(yield* databases).toEqual(expect.arrayContaining(made))
        return made
      })
    )
    expect(new Set(names).size).toBe(2)
    const left = yield* databases
    for (const name of names) expect(left).not.toContain(name)
  })
)

it.scopedLive("is dropped although another session is still open in it", () =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const name = yield* Effect.scoped(
      Effect.gen(function* () {
        const url = yield* freshDatabase
        yield* Scope.extend(connect({ url, applicationName: "test" }), outer)
        return nameOf(url)
      })
    )
    expect(yield* databases).not.toContain(name)
  })
)
