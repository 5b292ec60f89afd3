import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../../src/embedded-postgres/EmbeddedPostgres.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { bundlePrograms } from "./ProgramBundle.ts"
import { clearHomesAtExit, clearOrphanedHomes, serverHome, temporaryHome } from "./TemporaryHome.ts"
import { keepCluster, testSettings } from "./TestPostgres.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** Of a role that may make databases; `TestDatabase` makes one per asker. */
    readonly adminUrl: string
    /** The name of the database that `TestDatabase` copies for tests that need all schemas. */
    readonly templateDatabase: string
  }
}

/** The workers inherit where it is. */
const bundle = Effect.gen(function* () {
  const directory = yield* temporaryHome
  yield* Effect.promise(() => bundlePrograms(directory))
  process.env["GRAVITAS_TEST_PROGRAMS"] = directory
})

const embeddedUrl = Effect.gen(function* () {
  const home = yield* serverHome
  const settings = { ...testSettings, max_connections: "200", max_prepared_transactions: "4" }
  const context = yield* Layer.build(EmbeddedPostgres.layer({ home, join: false, settings }))
  return Redacted.value(Context.get(context, EmbeddedPostgres).url)
})

/** A name that no other run uses on the same server. The database is dropped at the end of the run, and before it runs again. */
const templateDatabase = (adminUrl: string) =>
  Effect.gen(function* () {
    const name = `test_template_${randomUUID().replaceAll("-", "")}`
    const drop = connect({ url: Redacted.make(adminUrl), applicationName: "gravitas test" }).pipe(
      Effect.flatMap((connection) => connection.query(`drop database if exists ${name} with (force)`)),
      Effect.scoped,
      Effect.orDie
    )
    yield* Effect.addFinalizer(() => drop)
    return { name, drop }
  })

/** One real PostgreSQL per run, that of `TEST_DATABASE_URL` or else the embedded one; and the program, bundled for each run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scope = Effect.runSync(Scope.make())
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const run = <A>(effect: Effect.Effect<A, never, Scope.Scope>) =>
    Effect.runPromise(effect.pipe(Scope.extend(scope), Logger.withMinimumLogLevel(LogLevel.Warning)))
  const given = process.env["TEST_DATABASE_URL"] ?? ""
  try {
    await run(Effect.zipRight(clearOrphanedHomes, clearHomesAtExit))
    const adminUrl = given === "" ? await run(Effect.orDie(embeddedUrl)) : given
    const template = await run(templateDatabase(adminUrl))
    project.provide("adminUrl", adminUrl)
    project.provide("templateDatabase", template.name)
    await run(Effect.orDie(keepCluster))
    await run(bundle)
    project.onTestsRerun(async () => {
      await run(bundle)
      // The revisions may have changed.
      await run(template.drop)
    })
  } catch (cause) {
    await close()
    throw cause
  }
  return close
}
