import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { embeddedProcess, patient } from "../support/EmbeddedProcess.ts"
import { fakePostgres } from "../support/platform/FakePostgres.ts"
import { postmasterPid, serverHome } from "../support/TemporaryHome.ts"
import { clusterHome } from "../support/TestPostgres.ts"

const readConnection = (home: string) =>
  Effect.promise(async () => JSON.parse(await Fs.readFile(Path.join(home, "postgres", "connection.json"), "utf8")))

/** Writes the file as earlier versions did, whose PostgreSQL listened on a port of the loopback address. */
const forgetHost = (home: string) =>
  Effect.promise(async () => {
    const file = Path.join(home, "postgres", "connection.json")
    const { host, ...earlier } = JSON.parse(await Fs.readFile(file, "utf8"))
    expect(host).toBe("127.0.0.1")
    await Fs.writeFile(file, JSON.stringify(earlier))
  })

describe("a home of an earlier version", patient, () => {
  it.scopedLive("starts on the socket with its data and password, whatever listens on its port", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const earlier = yield* embeddedProcess({ home, once: true, loopback: true })
      const first = yield* earlier.ready
      yield* earlier.end
      yield* forgetHost(home)
      const squatter = yield* fakePostgres({ asks: "clear text", at: first.address.port })
      const server = yield* embeddedProcess({ home })
      const next = yield* server.ready
      expect(next).toMatchObject({ address: { host: Path.join(home, "postgres", "socket") }, rows: 3 })
      expect(new URL(next.url).password).toBe(new URL(first.url).password)
      const command = yield* embeddedProcess({ home, join: true, once: true })
      expect(yield* command.ready).toMatchObject({ ownership: "joined", url: next.url })
      expect(squatter.connections()).toBe(0)
    })
  )

  it.scopedLive("whose process was killed has its PostgreSQL started again on the socket", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const earlier = yield* embeddedProcess({ home, loopback: true })
      const { dataDirectory } = yield* earlier.ready
      yield* forgetHost(home)
      yield* earlier.kill("SIGKILL")
      yield* earlier.end
      const orphan = yield* Effect.flatten(postmasterPid(dataDirectory))
      const next = yield* (yield* embeddedProcess({ home, once: true })).ready
      expect(next).toMatchObject({ address: { host: Path.join(home, "postgres", "socket") }, rows: 2 })
      expect(yield* postmasterPid(dataDirectory)).not.toEqual(Option.some(orphan))
    })
  )

  it.scopedLive("whose server runs is joined by a command where it listens", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const { address, url } = yield* (yield* embeddedProcess({ home, loopback: true })).ready
      yield* forgetHost(home)
      const command = yield* embeddedProcess({ home, join: true, once: true })
      expect(yield* command.ready).toMatchObject({ ownership: "joined", address, url, rows: 2 })
    })
  )

  it.scopedLive("whose server hangs has its password told to no program that takes its port", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const server = yield* embeddedProcess({ home, loopback: true })
      const { address } = yield* server.ready
      yield* forgetHost(home)
      for (const asks of ["clear text", "md5", "nothing"] as const) {
        const squatter = yield* fakePostgres({ asks })
        yield* Effect.promise(async () => {
          const file = Path.join(home, "postgres", "connection.json")
          await Fs.writeFile(
            file,
            JSON.stringify({ ...JSON.parse(await Fs.readFile(file, "utf8")), port: squatter.port })
          )
        })
        const command = yield* embeddedProcess({ home, join: true, once: true, turnPatience: 300 })
        expect((yield* command.failure).failed).toBe("HomeInUse")
        expect(squatter.connections()).toBeGreaterThan(0)
        expect(squatter.heard).toEqual([])
      }
      expect(address.host).toBe("127.0.0.1")
    })
  )
})

describe("a home whose path is too long for a socket", patient, () => {
  const start = (home: string) =>
    Effect.gen(function* () {
      const server = yield* embeddedProcess({ home, once: true })
      const { address } = yield* server.ready
      yield* server.end
      return address.host
    })

  it.scopedLive(
    "has a short directory of its own, which connection.json names, and another if that is not private",
    () =>
      Effect.gen(function* () {
        const home = Path.join(yield* serverHome, "a".repeat(60), "b, ä".repeat(15))
        const first = yield* start(home)
        expect(first.startsWith(Os.tmpdir())).toBe(true)
        yield* Effect.addFinalizer(() => Effect.promise(() => Fs.rm(first, { recursive: true, force: true })))
        expect((yield* Effect.promise(() => Fs.stat(first))).mode & 0o777).toBe(0o700)
        expect(yield* readConnection(home)).toMatchObject({
          host: first
        })
        expect(yield* start(home)).toBe(first)
        // As after the temporary directory was cleared, and another user was first to make it again.
        yield* Effect.promise(() => Fs.chmod(first, 0o777))
        const second = yield* start(home)
        expect(second).not.toBe(first)
        yield* Effect.promise(() => Fs.rm(second, { recursive: true }))
        const third = yield* start(home)
        expect(third).not.toBe(second)
        yield* Effect.promise(() => Fs.rm(third, { recursive: true }))
      })
  )
})
