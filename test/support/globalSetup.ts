import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../../src/platform/EmbeddedPostgres.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** A role that may create databases; `TestDatabase` makes one per asker. */
    readonly adminUrl: string
  }
}

/** Made here and removed at the end; every user may enter, since root's PostgreSQL runs as another. */
const temporaryHome = Effect.acquireRelease(
  Effect.promise(async () => {
    const home = await Fs.mkdtemp(Path.join(Os.tmpdir(), "gravitas-test-"))
    await Fs.chmod(home, 0o711)
    return home
  }),
  (home) => Effect.promise(() => Fs.rm(home, { recursive: true, force: true }))
)

/** Nothing here outlives the run, so nothing needs to reach the disk. */
const settings = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "200" }

const embeddedUrl = Effect.gen(function* () {
  const home = yield* temporaryHome
  const context = yield* Layer.build(EmbeddedPostgres.layer({ home, join: false, settings }))
  return Redacted.value(Context.get(context, EmbeddedPostgres).url)
})

/** One real PostgreSQL per run: that of `TEST_DATABASE_URL`, else the embedded one. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scope = Effect.runSync(Scope.make())
  const given = process.env["TEST_DATABASE_URL"]
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  try {
    const url =
      given === undefined || given === ""
        ? await Effect.runPromise(embeddedUrl.pipe(Effect.provideService(Scope.Scope, scope)))
        : given
    project.provide("adminUrl", url)
  } catch (cause) {
    await close()
    throw cause
  }
  return close
}
