import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "../../src/platform/Connection.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

it.scopedLive("gives each asker an empty database", () =>
  Effect.gen(function* () {
    const connection = yield* connect({ url: yield* freshDatabase, applicationName: "test" })
    const { rows } = yield* connection.query("select current_user as who, version() as version")
    expect(rows[0]).toMatchObject({ who: "gravitas" })
  })
)
