import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { childrenOf, signal } from "../../src/embedded-postgres/Postmaster.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { embeddedProcess, patient } from "../support/EmbeddedProcess.ts"
import { postmasterPid, serverHome } from "../support/TemporaryHome.ts"
import { clusterHome } from "../support/TestPostgres.ts"

/** A home whose server was killed while its PostgreSQL ran: the rows it had written, and the orphan's pid. */
const killedServer = Effect.gen(function* () {
  const home = yield* clusterHome
  const server = yield* embeddedProcess({ home })
  const ready = yield* server.ready
  yield* server.kill("SIGKILL")
  yield* server.end
  const orphan = yield* Effect.flatten(postmasterPid(ready.dataDirectory))
  return { home, ready, orphan }
})

/** It must end cleanly, and what it started or took over with it. */
const stopsAll = Effect.fnUntraced(function* (
  server: Effect.Effect.Success<ReturnType<typeof embeddedProcess>>,
  data: string
) {
  yield* server.kill("SIGTERM")
  expect(yield* server.next).toHaveProperty("closed.rows")
  yield* server.end
  expect(yield* postmasterPid(data)).toEqual(Option.none())
})

describe("after a SIGKILL of the process", patient, () => {
  it.scopedLive("the next start takes its PostgreSQL over with all data, and stops it at its own end", () =>
    Effect.gen(function* () {
      const { home, orphan, ready } = yield* killedServer
      const server = yield* embeddedProcess({ home })
      const next = yield* server.ready
      expect(next).toMatchObject({ ownership: "started", url: ready.url, rows: 2 })
      expect(next.notes.join()).toContain(`took over the PostgreSQL (pid ${orphan})`)
      yield* stopsAll(server, ready.dataDirectory)
    })
  )

  it.scopedLive("a PostgreSQL killed with it leaves a stale postmaster.pid and a cluster that recovers", () =>
    Effect.gen(function* () {
      const { home, orphan, ready } = yield* killedServer
      signal(orphan, "SIGKILL")
      const server = yield* embeddedProcess({ home })
      expect(yield* server.ready).toMatchObject({ rows: 2 })
      yield* stopsAll(server, ready.dataDirectory)
    })
  )

  it.scopedLive("a PostgreSQL that hangs is ended, processes and all, and its data recovered", () =>
    Effect.gen(function* () {
      const { home, orphan, ready } = yield* killedServer
      for (const pid of [orphan, ...childrenOf(orphan)]) signal(pid, "SIGSTOP")
      const server = yield* embeddedProcess({ home, startDeadline: 3_000 })
      const next = yield* server.ready
      expect(next.rows).toBe(2)
      expect(next.notes.join()).not.toContain("took over")
      yield* stopsAll(server, ready.dataDirectory)
    })
  )

  it.scopedLive("a PostgreSQL whose shutdown waits for its clients is stopped and started again", () =>
    Effect.gen(function* () {
      const { home, orphan, ready } = yield* killedServer
      const client = yield* connect({ url: Redacted.make(ready.url), applicationName: "test" })
      // A smart shutdown: no new sessions, and no end before the last one's.
      signal(orphan, "SIGTERM")
      const server = yield* embeddedProcess({ home, startDeadline: 3_000 })
      expect(yield* server.ready).toMatchObject({ rows: 2 })
      expect(yield* Effect.flip(client.query("select 1"))).toHaveProperty("_tag", "DatabaseError")
      yield* stopsAll(server, ready.dataDirectory)
    })
  )

  it.scopedLive("in the middle of the first start, the next one makes a whole cluster or goes on with it", () =>
    Effect.gen(function* () {
      const home = yield* serverHome
      const place = Path.join(home, "postgres")
      const appears = (pattern: RegExp) =>
        Effect.promise(() => Fs.readdir(place, { recursive: true }).catch(() => [])).pipe(
          Effect.repeat({
            until: (names) => names.some((name) => pattern.test(name)),
            schedule: Schedule.spaced("5 millis")
          }),
          Effect.timeout("20 seconds")
        )
      for (const moment of [/^data\..*partial\/PG_VERSION$/, /^data\/postmaster\.pid$/]) {
        const starting = yield* embeddedProcess({ home })
        yield* appears(moment)
        yield* starting.kill("SIGKILL")
        yield* starting.end
      }
      const server = yield* embeddedProcess({ home })
      const { dataDirectory, rows } = yield* server.ready
      expect(rows).toBeGreaterThanOrEqual(1)
      yield* stopsAll(server, dataDirectory)
    })
  )
})

describe("a postmaster.pid that names a living process which is not PostgreSQL", patient, () => {
  it.scopedLive("does not bar the start", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const first = yield* embeddedProcess({ home, once: true })
      const { dataDirectory } = yield* first.ready
      yield* first.end
      const { gid, uid } = yield* Effect.promise(() => Fs.stat(dataDirectory))
      // Of the same user: PostgreSQL by itself would believe the file.
      const stranger = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["60"], { cwd: "/", stdio: "ignore", uid, gid })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const path = Path.join(dataDirectory, "postmaster.pid")
      yield* Effect.promise(async () => {
        await Fs.writeFile(
          path,
          `${stranger.pid}\n${dataDirectory}\n1700000000\n5432\n\n127.0.0.1\n  1234 5\nready   \n`
        )
        await Fs.chown(path, uid, gid)
      })
      const server = yield* embeddedProcess({ home })
      expect(yield* server.ready).toMatchObject({ rows: 3 })
      yield* stopsAll(server, dataDirectory)
      expect(stranger.exitCode).toBeNull()
    })
  )
})
