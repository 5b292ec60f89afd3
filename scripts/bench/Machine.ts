import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { project } from "../../test/support/Program.ts"

const git = (...words: ReadonlyArray<string>): string =>
  execFileSync("git", words, { cwd: project, encoding: "utf8" }).trim()

/** The commit of this checkout, and whether it has changes that no commit has. */
export const checkout = Effect.sync(() => ({
  commit: git("rev-parse", "HEAD"),
  isModified: git("status", "--porcelain") !== ""
}))

export const machine = (server: Redacted.Redacted) =>
  connect({ url: server, applicationName: "gravitas bench" }).pipe(
    Effect.flatMap((connection) => connection.query("show server_version")),
    Effect.map(({ rows }) => ({
      cpu: Os.cpus()[0]?.model ?? "unknown",
      cores: Os.availableParallelism(),
      memoryGigabytes: Math.round(Os.totalmem() / 2 ** 30),
      os: `${Os.type()} ${Os.release()} ${Os.arch()}`,
      node: process.versions.node,
      postgresql: String(rows[0]?.["server_version"])
    })),
    Effect.scoped
  )

const Pinned = Schema.Record({ key: Schema.String, value: Schema.String })
const Package = Schema.parseJson(Schema.Struct({ dependencies: Pinned, devDependencies: Pinned }))

/** What stands beside Gravitas in the benches, and what both sides use. */
const compared = [
  "fastify",
  "casbin",
  "pg",
  "jose",
  "pino",
  "better-sqlite3",
  "node-pg-migrate",
  "umzug",
  "postgrator",
  "effect",
  "@effect/platform",
  "@effect/sql-pg"
]

/** The versions of the peers, which package.json pins. */
export const versions = Effect.sync((): Readonly<Record<string, string>> => {
  const text = Fs.readFileSync(join(project, "package.json"), "utf8")
  const { dependencies, devDependencies } = Schema.decodeUnknownSync(Package)(text)
  const all = { ...dependencies, ...devDependencies }
  return Object.fromEntries(compared.map((name) => [name, all[name] ?? "not installed"]))
})
