import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { ask, migrateRouter, migrationsOf, tableA, tablesOf } from "../../support/migrator/Fixture.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const pgbouncer = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find((path) => existsSync(path))

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Enough connections that consecutive statements do not use the same one. */
const connections = 11

/** Starts a PgBouncer in transaction mode that alternates its server connections; returns the URL of `url` through it. */
const pooled = (program: string, url: Redacted.Redacted) =>
  Effect.gen(function* () {
    // PostgreSQL may listen on a socket in a directory that PgBouncer's user cannot enter.
    const { hostname, password, pathname, port, username } = new URL(Redacted.value((yield* tcpProxy(url)).url))
    const name = pathname.slice(1)
    // PgBouncer does not start with an empty password in its settings.
    const login = Object.entries({ user: username, password })
      .filter(([, value]) => value !== "")
      .map(([key, value]) => `${key}='${decodeURIComponent(value)}'`)
      .join(" ")
    const listening = yield* freePort
    const directory = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "gravitas-pooler-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
    )
    const settings = join(directory, "pgbouncer.ini")
    const lines = [
      "[databases]",
      `${name} = host=${hostname} port=${port} dbname=${name} ${login}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${listening}`,
      "unix_socket_dir =",
      "auth_type = any",
      "pool_mode = transaction",
      `default_pool_size = ${connections}`,
      "server_round_robin = 1",
      // It refuses to run as root.
      ...(process.getuid?.() === 0 ? ["user = nobody"] : [])
    ]
    yield* Effect.promise(async () => {
      await writeFile(settings, lines.join("\n"))
      await chmod(directory, 0o755)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => spawn(program, [settings], { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const through = new URL(Redacted.value(url))
    through.hostname = "127.0.0.1"
    through.port = String(listening)
    // PgBouncer asks for nothing here.
    through.searchParams.delete("require_auth")
    const way = Redacted.make(through.href)
    yield* Effect.retry(ask(way, "select 1"), Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100)))
    // As many transactions at the same time, so that all server connections exist.
    const sessions = yield* Effect.all(
      Array.from({ length: connections }, () => connect({ url: way, applicationName: "test" }))
    )
    for (const session of sessions) yield* session.query("begin")
    for (const session of sessions) yield* session.query("commit")
    return way
  })

describe("a pooler in transaction mode", () => {
  it(
    "is detected before anything is set or locked in a session that it shares (exit 6)",
    { timeout: 90_000 },
    (context) =>
      Effect.runPromise(
        Effect.gen(function* () {
          if (pgbouncer === undefined) return skipBecause(context, "PgBouncer is not installed")
          const url = yield* freshDatabase
          const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
          const refusal = yield* pooled(pgbouncer, url).pipe(
            Effect.flatMap((way) => Effect.flip(migrateRouter(way, migrations))),
            Effect.tap(() =>
              Effect.map(
                ask(
                  url,
                  "select from pg_locks l join pg_database d on d.oid = l.database where l.locktype = 'advisory' and d.datname = current_database()"
                ),
                (locks) => expect(locks).toEqual([])
              )
            ),
            Effect.scoped
          )
          expect(refusal).toMatchObject({ _tag: "SessionShared", exitCode: 6 })
          expect(refusal.message).toContain("is a pooler, not PostgreSQL itself")
          expect(refusal.message).toContain("ROUTER_MIGRATION_DATABASE_URL at PostgreSQL itself")
          expect(yield* ask(url, "select from pg_namespace where nspname = 'router'")).toEqual([])
          expect((yield* migrateRouter(url, migrations)).to).toBe("0001_a")
          expect(yield* tablesOf(url, "router")).toEqual(["a"])
        }).pipe(Effect.scoped, Effect.timeout("60 seconds"))
      )
  )
})
