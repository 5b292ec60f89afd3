import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Binaries from "../../src/embedded-postgres/Binaries.ts"
import { EmbeddedPostgres } from "../../src/embedded-postgres/EmbeddedPostgres.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { embeddedProcess, patient } from "../support/EmbeddedProcess.ts"
import { closedPort } from "../support/platform/DatabaseServers.ts"
import { fakePostgres } from "../support/platform/FakePostgres.ts"
import { skipBecause } from "../support/SkipBecause.ts"
import { postmasterPid, serverHome } from "../support/TemporaryHome.ts"
import { clusterHome, testSettings } from "../support/TestPostgres.ts"

const isRoot = process.getuid?.() === 0

const modeOf = (path: string) => Effect.promise(async () => (await Fs.stat(path)).mode & 0o777)

const readText = (path: string) => Effect.promise(() => Fs.readFile(path, "utf8"))

const quiet = Logger.minimumLogLevel(LogLevel.Warning)

const ownServer = Layer.unwrapScoped(
  Effect.map(serverHome, (home) => EmbeddedPostgres.layer({ home, join: false, settings: testSettings }))
).pipe(Layer.provide(quiet))

const ask = (url: Redacted.Redacted, text: string) =>
  connect({ url, applicationName: "test" }).pipe(
    Effect.flatMap((connection) => connection.query(text)),
    Effect.map(({ rows }) => rows[0] ?? {}),
    Effect.scoped
  )

/** The command lines and environments of every process, as far as we may see them. */
const everyProcess = Effect.promise(async () => {
  const pids = (await Fs.readdir("/proc")).filter((name) => /^\d+$/.test(name))
  const texts = pids.flatMap((pid) =>
    ["cmdline", "environ"].map((file) => Fs.readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""))
  )
  return (await Promise.all(texts)).join("\n")
})

describe("a first start", patient, () => {
  layer(ownServer, { excludeTestServices: true })((it) => {
    it.effect("gives a database and role gravitas in a PostgreSQL 18 with checksums, UTF-8, UTC and scram", () =>
      Effect.gen(function* () {
        const { url, version } = yield* EmbeddedPostgres
        expect(version).toMatch(/^18\./)
        const row = yield* ask(
          url,
          `select current_user as role, current_database() as name, getdatabaseencoding() as encoding,
            current_setting('data_checksums') as checksums, current_setting('timezone') as timezone,
            (select string_agg(distinct auth_method, ',') from pg_catalog.pg_hba_file_rules) as auth,
            (select datlocprovider::text || datlocale from pg_catalog.pg_database where datname = 'gravitas') as locale`
        )
        expect(row).toEqual({
          role: "gravitas",
          name: "gravitas",
          encoding: "UTF8",
          checksums: "on",
          timezone: "UTC",
          auth: "scram-sha-256",
          locale: "bC.UTF-8"
        })
      })
    )

    it.effect("keeps the password in a file of mode 0600 and nowhere else", () =>
      Effect.gen(function* () {
        const { dataDirectory, url } = yield* EmbeddedPostgres
        const { password } = new URL(Redacted.value(url))
        expect(password.length).toBeGreaterThanOrEqual(24)
        const place = Path.dirname(dataDirectory)
        expect(yield* modeOf(Path.join(place, "connection.json"))).toBe(0o600)
        expect(yield* modeOf(dataDirectory)).toBe(0o700)
        expect((yield* modeOf(place)) & 0o066).toBe(0)
        expect((yield* Effect.promise(() => Fs.readdir(place))).filter((name) => name.includes("partial"))).toEqual([])
        expect(yield* readText(Path.join(place, "connection.json"))).toContain(password)
        expect(yield* everyProcess).not.toContain(password)
        expect(yield* readText(Path.join(place, "postgres.log"))).not.toContain(password)
        expect(yield* readText(Path.join(place, "lock"))).not.toContain(password)
      })
    )

    it.effect("listens on a Unix socket alone, whose directory no other account enters, and wants the password", () =>
      Effect.gen(function* () {
        const { address, dataDirectory, url } = yield* EmbeddedPostgres
        const place = Path.dirname(dataDirectory)
        expect(address).toEqual({ host: Path.join(place, "socket"), port: 5432 })
        expect(yield* ask(url, "select current_setting('listen_addresses') as listens")).toEqual({ listens: "" })
        expect(yield* modeOf(address.host)).toBe(0o700)
        const ownerOf = (path: string) => Effect.promise(async () => (await Fs.stat(path)).uid)
        expect(yield* ownerOf(address.host)).toBe(yield* ownerOf(dataDirectory))
        expect(JSON.parse(yield* readText(Path.join(place, "connection.json")))).toMatchObject(address)
        const stranger = Redacted.make(Redacted.value(url).replace(/:[^:@]+@/, ":guess@"))
        expect(yield* Effect.flip(ask(stranger, "select 1"))).toMatchObject({ sqlstate: "28P01" })
      })
    )

    it.effect("cannot be reached by a third account", (context) =>
      Effect.gen(function* () {
        if (!isRoot) return skipBecause(context, "only root can become another user")
        const { address } = yield* EmbeddedPostgres
        const script =
          'require("node:net").connect(process.argv[1]).on("error", (e) => console.log(e.code)).on("connect", () => console.log("in"))'
        const socket = Path.join(address.host, ".s.PGSQL.5432")
        const said = (uid: number) =>
          Effect.sync(() =>
            execFileSync(process.execPath, ["-e", `${script}.unref()`, socket], {
              uid,
              gid: uid,
              cwd: "/",
              encoding: "utf8",
              timeout: 20_000
            }).trim()
          )
        expect(yield* said(64_999)).toBe("EACCES")
      })
    )
  })

  it.scopedLive("that PostgreSQL itself refuses fails with the last lines of its log, and leaves the home free", () =>
    Effect.gen(function* () {
      const home = yield* serverHome
      const attempt = (settings: Readonly<Record<string, string>>) =>
        EmbeddedPostgres.layer({ home, join: false, settings: { ...testSettings, ...settings } }).pipe(
          Layer.provide(quiet),
          Layer.build,
          Effect.scoped
        )
      const error = yield* Effect.flip(attempt({ shared_buffers: "nonsense" }))
      expect(error._tag).toBe("ClusterUnusable")
      expect(error.message).toContain('invalid value for parameter "shared_buffers"')
      expect(error.message).toContain("DATABASE_URL")
      yield* attempt({})
    })
  )

  it.effect("on a platform without binaries names the platform and the way out", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Binaries.locate("plan9-mips"))
      expect(error.message).toContain("plan9-mips")
      expect(error.message).toContain("DATABASE_URL")
    })
  )
})

describe("a later start", patient, () => {
  it.scopedLive("finds the same data and password at the same address, and copies no binaries again", () =>
    Effect.gen(function* () {
      const home = yield* serverHome
      const starter = yield* embeddedProcess({ home, once: true })
      const first = yield* starter.ready
      yield* starter.end
      const made = yield* Effect.promise(() => Fs.readdir(first.binaries))
      const stamp = () => Effect.promise(async () => (await Fs.stat(Path.join(first.binaries, made[0] ?? ""))).ctimeMs)
      const before = yield* stamp()
      const second = yield* (yield* embeddedProcess({ home, once: true })).ready
      expect(second).toMatchObject({ url: first.url, rows: 3 })
      expect(yield* stamp()).toBe(before)
    })
  )

  it.scopedLive(
    "without Unix sockets takes another port when the last one is taken, and tells the squatter nothing",
    () =>
      Effect.gen(function* () {
        const home = yield* clusterHome
        const first = yield* embeddedProcess({ home, once: true, loopback: true })
        const { address } = yield* first.ready
        yield* first.end
        const squatter = yield* fakePostgres({ asks: "clear text", at: address.port })
        const second = yield* (yield* embeddedProcess({ home, once: true, loopback: true })).ready
        expect(second.address.host).toBe("127.0.0.1")
        expect(second.address.port).not.toBe(address.port)
        expect(second.rows).toBe(3)
        expect(squatter.heard).toEqual([])
      })
  )

  it.scopedLive("listens on EMBEDDED_POSTGRES_PORT too, and is refused by name when another program has it", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const port = yield* closedPort
      const first = yield* embeddedProcess({ home, tcpPort: port })
      const { address, url } = yield* first.ready
      expect(address).toEqual({ host: Path.join(home, "postgres", "socket"), port })
      const { password } = new URL(url)
      const way = Redacted.make(`postgresql://gravitas:${password}@127.0.0.1:${port}/gravitas`)
      expect(yield* ask(way, "select count(*)::int as rows from kept")).toEqual({ rows: 1 })
      yield* first.kill("SIGTERM")
      yield* first.end
      const squatter = yield* fakePostgres({ asks: "clear text", at: port })
      const { message } = yield* (yield* embeddedProcess({ home, tcpPort: port })).failure
      expect(message).toContain(`EMBEDDED_POSTGRES_PORT ${port} is used by another program`)
      expect(squatter.connections()).toBe(0)
    })
  )
})

describe("the end", patient, () => {
  it.scopedLive(
    "after a SIGINT to the whole process group stops PostgreSQL last, when what uses it has written its last",
    () =>
      Effect.gen(function* () {
        const home = yield* clusterHome
        const server = yield* embeddedProcess({ home })
        const { dataDirectory } = yield* server.ready
        const pid = yield* Effect.flatten(postmasterPid(dataDirectory))
        yield* Effect.sync(() => process.kill(-server.pid, "SIGINT"))
        expect(yield* server.next).toEqual({ closed: { rows: 2 } })
        yield* server.end
        expect(yield* postmasterPid(dataDirectory)).toEqual(Option.none())
        expect(yield* Effect.promise(() => Fs.stat(`/proc/${pid}`).catch(() => "gone"))).toBe("gone")
        const log = yield* Effect.promise(() => Fs.readFile(Path.join(home, "postgres", "postgres.log"), "utf8"))
        expect(log).toContain("database system is shut down")
      })
  )
})

if (isRoot) {
  describe("as root", patient, () => {
    it.scopedLive("PostgreSQL runs as an unprivileged account that owns the data", () =>
      Effect.gen(function* () {
        const home = yield* serverHome
        const server = yield* embeddedProcess({ home })
        const { dataDirectory, notes } = yield* server.ready
        expect(dataDirectory).toBe(Path.join(home, "postgres", "data"))
        const pid = yield* Effect.flatten(postmasterPid(dataDirectory))
        const { uid } = yield* Effect.promise(() => Fs.stat(`/proc/${pid}`))
        expect(uid).not.toBe(0)
        expect((yield* Effect.promise(() => Fs.stat(dataDirectory))).uid).toBe(uid)
        expect(notes.join()).toContain("refuses to run as root")
      })
    )

    it.scopedLive("in a home that the account cannot enter, data and binaries go elsewhere and are found again", () =>
      Effect.gen(function* () {
        const closed = yield* serverHome
        yield* Effect.promise(() => Fs.chmod(closed, 0o700))
        const elsewhere = [Path.join(yield* serverHome, "gravitas")]
        const home = Path.join(closed, "project", ".gravitas")
        const server = yield* embeddedProcess({ home, elsewhere })
        const first = yield* server.ready
        expect(first.dataDirectory.startsWith(`${elsewhere[0]}/`)).toBe(true)
        expect(first.notes.join()).toContain(`may not enter ${closed}`)
        yield* server.kill("SIGTERM")
        yield* server.end
        // Open by now: the data stay where they are.
        yield* Effect.promise(() => Fs.chmod(closed, 0o711))
        const again = yield* (yield* embeddedProcess({ home, elsewhere, once: true })).ready
        expect(again).toMatchObject({ dataDirectory: first.dataDirectory, rows: 3 })
      })
    )

    it.scopedLive("a home of another user is refused, with what to do; that user goes on with it", () =>
      Effect.gen(function* () {
        const home = yield* serverHome
        yield* Effect.promise(() => Fs.chown(home, 65_534, 65_534))
        const asUser = Effect.gen(function* () {
          const server = yield* embeddedProcess({ home, once: true, uid: 65_534 })
          const ready = yield* server.ready
          yield* server.end
          return ready
        })
        expect(yield* asUser).toMatchObject({ rows: 1, notes: [] })
        const { failed, message } = yield* (yield* embeddedProcess({ home })).failure
        expect(failed).toBe("NoPlaceForPostgres")
        expect(message).toContain(`${home} belongs to the user 65534, and this process runs as 0`)
        expect(message).toContain(`chown 0 ${home}`)
        expect(yield* asUser).toMatchObject({ rows: 3 })
      })
    )
  })
}
