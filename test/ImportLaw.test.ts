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
  "src/main.ts": [
    "./gatekeeper/Http.ts",
    "./guardian/Http.ts",
    "./router/Http.ts",
    "./migrator/Commands.ts",
    "./launch/Serve.ts"
  ],
  "src/launch/Serve.ts": ["../gatekeeper/Http.ts", "../router/Http.ts", "../platform/Settings.ts"],
  "src/gatekeeper/Http.ts": ["../migrator/Migrator.ts", "../audit/AuditLog.ts", "./Policy.ts"],
  "src/gatekeeper/Policy.ts": ["../domain/Service.ts"],
  "src/guardian/Http.ts": ["../migrator/Migrator.ts", "../platform/Settings.ts"],
  "src/router/Http.ts": ["../audit/AuditLog.ts", "../peers/Gatekeeper.ts", "effect/Effect"],
  "src/peers/Gatekeeper.ts": ["../gatekeeper/Api.ts", "../platform/Settings.ts"],
  "src/gatekeeper/Api.ts": [],
  "src/migrator/Commands.ts": ["./Migrator.ts", "@effect/cli/Command"],
  "src/migrator/Migrator.ts": ["../platform/Settings.ts"],
  "src/migrator/Backfill.ts": ["../domain/Service.ts"],
  "src/audit/AuditLog.ts": ["../platform/Settings.ts", "@effect/platform/FileSystem", "pg"],
  "src/platform/Settings.ts": ["../domain/Service.ts", "node:fs"],
  "src/domain/Service.ts": ["effect/Schema"],
  "migrations/guardian/0002_backfill.ts": ["../../src/migrator/Backfill.ts"],
  "test/gatekeeper/Http.test.ts": ["../../src/gatekeeper/Http.ts", "effect"],
  "scripts/bench/main.ts": ["../../src/audit/AuditLog.ts", "@effect/platform"]
}

/** `tree` with more imports in some of its files, and more files. */
const plus = (tree: Tree, more: Tree): Tree => ({
  ...tree,
  ...Object.fromEntries(Object.entries(more).map(([file, imports]) => [file, [...(tree[file] ?? []), ...imports]]))
})

describe("the import law", () => {
  it.live("lets pass a tree in which each room imports only what stands below it", () =>
    Effect.gen(function* () {
      expect(yield* judge(lawful)).toEqual([])
    })
  )

  it.live("refuses each import that goes up or sideways, type-only ones too", () =>
    Effect.gen(function* () {
      const unlawful = plus(lawful, {
        "src/main.ts": ["./cellar/Wine.ts"],
        "src/cellar/Wine.ts": [],
        "src/launch/Serve.ts": ["./Banner.ts"],
        "src/launch/Banner.ts": [],
        "src/guardian/Welcome.ts": ["../launch/Banner.ts"],
        "src/domain/Service.ts": ["node:crypto"],
        "src/domain/Ghost.ts": ["../platform/Clock.ts"],
        "src/platform/Clock.ts": [],
        "src/platform/Settings.ts": ["../domain/Ghost.ts", "../audit/Queue.ts"],
        "src/audit/Queue.ts": ["../migrator/Plan.ts"],
        "src/migrator/Plan.ts": [],
        "src/migrator/Commands.ts": ["../audit/Drain.ts", "../router/Routing.ts"],
        "src/audit/Drain.ts": ["../../test/support/TestDatabase.ts"],
        "src/router/Routing.ts": ["../../scripts/bench/Figures.ts"],
        "src/guardian/Http.ts": ["../gatekeeper/Policy.ts", "./Welcome.ts"],
        "src/peers/Gatekeeper.ts": ["../gatekeeper/Policy.ts"],
        "test/support/TestDatabase.ts": ["../../scripts/bench/Figures.ts"],
        "scripts/bench/Figures.ts": [],
        "scripts/bench/main.ts": ["../../src/main.ts"]
      })
      expect(yield* judge(unlawful)).toEqual([
        "domain-is-pure: src/domain/Service.ts -> crypto",
        "domain-stands-alone: src/domain/Ghost.ts -> src/platform/Clock.ts",
        "launch-is-mains-own: src/guardian/Welcome.ts -> src/launch/Banner.ts",
        "migrator-and-audit-apart: src/audit/Queue.ts -> src/migrator/Plan.ts",
        "migrator-and-audit-apart: src/migrator/Commands.ts -> src/audit/Drain.ts",
        "migrator-and-audit-apart: src/migrator/Commands.ts -> src/router/Routing.ts",
        "nobody-imports-main: scripts/bench/main.ts -> src/main.ts",
        "peers-know-contracts-only: src/peers/Gatekeeper.ts -> src/gatekeeper/Policy.ts",
        "platform-knows-domain-only: src/platform/Settings.ts -> src/audit/Queue.ts",
        "rooms-are-named: src/main.ts -> src/cellar/Wine.ts",
        "services-apart: src/guardian/Http.ts -> src/gatekeeper/Policy.ts",
        "services-apart: src/guardian/Welcome.ts -> src/launch/Banner.ts",
        "src-stands-without-test-and-scripts: src/audit/Drain.ts -> test/support/TestDatabase.ts",
        "src-stands-without-test-and-scripts: src/router/Routing.ts -> scripts/bench/Figures.ts",
        "test-stands-without-scripts: test/support/TestDatabase.ts -> scripts/bench/Figures.ts"
      ])
    })
  )

  it.live("refuses circles, code that only a test reaches, and the barrels of Effect's packages", () =>
    Effect.gen(function* () {
      const unlawful = plus(lawful, {
        "src/gatekeeper/Policy.ts": ["./Rule.ts"],
        "src/gatekeeper/Rule.ts": ["./Policy.ts"],
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
        "no-circle: src/gatekeeper/Policy.ts -> src/gatekeeper/Rule.ts",
        "no-orphan: src/router/Forgotten.ts -> src/router/Forgotten.ts"
      ])
    })
  )
})
