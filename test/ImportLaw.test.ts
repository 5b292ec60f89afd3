import { fileURLToPath } from "node:url"
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

type Tree = Readonly<Record<string, ReadonlyArray<string>>>

const root = fileURLToPath(new URL("..", import.meta.url))
const folders = ["src", "test", "scripts", "migrations"]

const Report = Schema.parseJson(
  Schema.Struct({
    summary: Schema.Struct({
      violations: Schema.Array(
        Schema.Struct({ from: Schema.String, to: Schema.String, rule: Schema.Struct({ name: Schema.String }) })
      )
    })
  })
)

/** A path as the fixture wrote it: installed packages by name, without the place they are installed in. */
const shown = (path: string): string => path.replace(/^.*\/node_modules\//, "")

/** Holds the import law against a source tree given as file -> what it imports. */
const judge = (tree: Tree) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const base = yield* fs.makeTempDirectoryScoped()
    yield* fs.symlink(path.join(root, "node_modules"), path.join(base, "node_modules"))
    yield* Effect.forEach(folders, (folder) => fs.makeDirectory(path.join(base, folder)))
    yield* Effect.forEach(Object.entries(tree), ([file, imports]) =>
      fs
        .makeDirectory(path.dirname(path.join(base, file)), { recursive: true })
        .pipe(
          Effect.zipRight(
            fs.writeFileString(
              path.join(base, file),
              imports.map((from, index) => `import type * as Import${index} from "${from}"\n`).join("")
            )
          )
        )
    )
    const report = yield* Command.make(
      path.join(root, "node_modules/.bin/depcruise"),
      ...folders,
      ...["--config", path.join(root, ".dependency-cruiser.cjs"), "--output-type", "json"]
    ).pipe(Command.workingDirectory(base), Command.string, Effect.flatMap(Schema.decode(Report)))
    return report.summary.violations.map(({ from, rule, to }) => `${rule.name}: ${from} -> ${shown(to)}`).toSorted()
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const lawful: Tree = {
  "src/main.ts": ["./app/Cli.ts"],
  "src/app/Cli.ts": ["./Serve.ts", "../migrator/cli/Commands.ts"],
  "src/app/Serve.ts": [
    "../embedded-postgres/EmbeddedPostgres.ts",
    "../gatekeeper/Http.ts",
    "../guardian/Http.ts",
    "../platform/config/Settings.ts",
    "../router/Http.ts"
  ],
  "src/gatekeeper/Http.ts": [
    "../audit/AuditLog.ts",
    "../contracts/gatekeeper/GatekeeperApi.ts",
    "../migrator/Migrator.ts",
    "./policy/Policy.ts"
  ],
  "src/gatekeeper/policy/Policy.ts": ["../../domain/Service.ts"],
  "src/guardian/Http.ts": ["../migrator/Migrator.ts", "../platform/config/Settings.ts"],
  "src/router/Http.ts": ["../audit/AuditLog.ts", "../clients/GatekeeperClient.ts", "effect/Effect"],
  "src/clients/GatekeeperClient.ts": ["../contracts/gatekeeper/GatekeeperApi.ts", "../platform/config/Settings.ts"],
  "src/contracts/gatekeeper/GatekeeperApi.ts": ["../../domain/Service.ts"],
  "src/embedded-postgres/EmbeddedPostgres.ts": ["../platform/config/Settings.ts"],
  "src/migrator/cli/Commands.ts": ["../Migrator.ts", "@effect/cli/Command"],
  "src/migrator/Migrator.ts": ["../platform/config/Settings.ts"],
  "src/migrator/files/Batches.ts": ["../../domain/Service.ts"],
  "src/audit/AuditLog.ts": ["../platform/config/Settings.ts", "@effect/platform/FileSystem", "pg"],
  "src/platform/config/Settings.ts": ["../../domain/Service.ts", "node:fs"],
  "src/domain/Service.ts": ["effect/Schema"],
  "migrations/guardian/0002_backfill.ts": ["../../src/migrator/files/Batches.ts"],
  "test/gatekeeper/Http.test.ts": ["../../src/gatekeeper/Http.ts", "effect"],
  "scripts/bench/main.ts": ["../../src/audit/AuditLog.ts", "@effect/platform"]
}

/** `tree` with more imports in some of its files, and more files. */
const plus = (tree: Tree, more: Tree): Tree => ({
  ...tree,
  ...Object.fromEntries(Object.entries(more).map(([file, imports]) => [file, [...(tree[file] ?? []), ...imports]]))
})

describe("the import law", () => {
  it.live("accepts a tree in which each room imports only the rooms below it", () =>
    Effect.gen(function* () {
      expect(yield* judge(lawful)).toEqual([])
    })
  )

  it.live("refuses each import that goes up or sideways, type-only ones too", () =>
    Effect.gen(function* () {
      const unlawful = plus(lawful, {
        "src/main.ts": ["./cellar/Wine.ts"],
        "src/cellar/Wine.ts": [],
        "src/app/Serve.ts": ["./Banner.ts"],
        "src/app/Banner.ts": [],
        "src/guardian/Welcome.ts": ["../app/Banner.ts"],
        "src/domain/Service.ts": ["node:crypto"],
        "src/domain/Ghost.ts": ["../platform/os/Clock.ts"],
        "src/contracts/gatekeeper/GatekeeperApi.ts": ["../../platform/os/Clock.ts"],
        "src/platform/os/Clock.ts": ["../../embedded-postgres/Cluster.ts"],
        "src/embedded-postgres/Cluster.ts": [],
        "src/platform/config/Settings.ts": ["../../audit/queue/Queue.ts"],
        "src/audit/queue/Queue.ts": ["../../migrator/plan/Plan.ts"],
        "src/migrator/plan/Plan.ts": [],
        "src/migrator/cli/Commands.ts": ["../../router/Routing.ts", "../../domain/Ghost.ts"],
        "src/audit/AuditLog.ts": ["../../test/support/TestDatabase.ts"],
        "src/router/Routing.ts": ["../../scripts/bench/Figures.ts"],
        "src/guardian/Http.ts": ["../gatekeeper/policy/Policy.ts", "./Welcome.ts"],
        "src/clients/GatekeeperClient.ts": ["../gatekeeper/policy/Policy.ts"],
        "test/support/TestDatabase.ts": ["../../scripts/bench/Figures.ts"],
        "scripts/bench/Figures.ts": [],
        "scripts/bench/main.ts": ["../../src/main.ts"]
      })
      expect((yield* judge(unlawful)).filter((one) => !one.startsWith("no-folder-circle"))).toEqual([
        "contracts-import-domain-only: src/contracts/gatekeeper/GatekeeperApi.ts -> src/platform/os/Clock.ts",
        "domain-imports-nothing: src/domain/Ghost.ts -> src/platform/os/Clock.ts",
        "domain-is-pure: src/domain/Service.ts -> crypto",
        "engines-are-independent: src/audit/queue/Queue.ts -> src/migrator/plan/Plan.ts",
        "engines-are-independent: src/clients/GatekeeperClient.ts -> src/gatekeeper/policy/Policy.ts",
        "engines-are-independent: src/migrator/cli/Commands.ts -> src/router/Routing.ts",
        "main-is-not-imported: scripts/bench/main.ts -> src/main.ts",
        "only-main-imports-app: src/guardian/Welcome.ts -> src/app/Banner.ts",
        "platform-imports-contracts-and-domain-only: src/platform/config/Settings.ts -> src/audit/queue/Queue.ts",
        "platform-imports-contracts-and-domain-only: src/platform/os/Clock.ts -> src/embedded-postgres/Cluster.ts",
        "rooms-are-named: src/main.ts -> src/cellar/Wine.ts",
        "services-are-independent: src/guardian/Http.ts -> src/gatekeeper/policy/Policy.ts",
        "services-are-independent: src/guardian/Welcome.ts -> src/app/Banner.ts",
        "src-imports-no-test-or-script: src/audit/AuditLog.ts -> test/support/TestDatabase.ts",
        "src-imports-no-test-or-script: src/router/Routing.ts -> scripts/bench/Figures.ts",
        "test-imports-no-benchmark: test/support/TestDatabase.ts -> scripts/bench/Figures.ts"
      ])
    })
  )

  it.live("refuses circles, of folders too, code that only a test reaches, and the barrels of Effect's packages", () =>
    Effect.gen(function* () {
      const unlawful = plus(lawful, {
        "src/gatekeeper/policy/Policy.ts": ["./Rule.ts"],
        "src/gatekeeper/policy/Rule.ts": ["./Policy.ts"],
        "src/router/Http.ts": ["./chat/Chat.ts"],
        "src/router/chat/Chat.ts": ["../route/Route.ts"],
        "src/router/chat/ChatBody.ts": [],
        "src/router/route/Route.ts": ["../chat/ChatBody.ts"],
        "src/router/Forgotten.ts": [],
        "test/router/Forgotten.test.ts": ["../../src/router/Forgotten.ts"],
        "src/audit/AuditLog.ts": ["effect", "@effect/platform", "@effect/sql", "@effect/sql-pg", "@effect/cli"]
      })
      expect(yield* judge(unlawful)).toEqual([
        "no-barrel: src/audit/AuditLog.ts -> @effect/cli/dist/cjs/index.js",
        "no-barrel: src/audit/AuditLog.ts -> @effect/platform/dist/cjs/index.js",
        "no-barrel: src/audit/AuditLog.ts -> @effect/sql-pg/dist/cjs/index.js",
        "no-barrel: src/audit/AuditLog.ts -> @effect/sql/dist/cjs/index.js",
        "no-barrel: src/audit/AuditLog.ts -> effect/dist/cjs/index.js",
        "no-circle: src/gatekeeper/policy/Policy.ts -> src/gatekeeper/policy/Rule.ts",
        "no-folder-circle: src/router/chat -> src/router/route",
        "no-folder-circle: src/router/route -> src/router/chat",
        "no-orphan: src/router/Forgotten.ts -> src/router/Forgotten.ts"
      ])
    })
  )
})
