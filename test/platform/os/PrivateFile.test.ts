import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as OsLock from "../../../src/platform/os/OsLock.ts"
import * as PrivateFile from "../../../src/platform/os/PrivateFile.ts"
import { commandFor } from "../../support/Program.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const isRoot = process.getuid?.() === 0

const attempt = (body: () => unknown): string => {
  try {
    body()
    return "accepted"
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

const modeOf = (path: string) => Fs.statSync(path).mode & 0o7777

describe("a home", () => {
  it.scopedLive("is made with what is missing above it, and is open to no other user's files", () =>
    Effect.gen(function* () {
      const home = Path.join(yield* temporaryHome, "a", "b", "home")
      const before = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(before)))
      PrivateFile.ensureHome(home)
      expect(modeOf(home)).toBe(isRoot ? 0o711 : 0o700)
      expect(modeOf(Path.dirname(home)) & 0o066).toBe(0)
      PrivateFile.ensureHome(home)
    })
  )

  it.scopedLive("that other users may write to is refused with the command that closes it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      for (const [mode, accepted] of [
        [0o777, false],
        [0o1777, false],
        [0o770, false],
        [0o702, false],
        [0o755, true],
        [0o700, true]
      ] as const) {
        Fs.chmodSync(home, mode)
        const outcome = attempt(() => PrivateFile.ensureHome(home))
        expect([mode, outcome === "accepted"]).toEqual([mode, accepted])
        if (!accepted) expect(outcome).toContain(`chmod 700 ${home}`)
      }
      Fs.mkdirSync(Path.join(home, "postgres"))
      Fs.chmodSync(home, 0o777)
      // The embedded PostgreSQL of root runs as another account, which must still enter it.
      expect(attempt(() => PrivateFile.ensureHome(home))).toContain(`chmod ${isRoot ? 711 : 700} ${home}`)
    })
  )

  it.scopedLive("of another user is refused, and so is a link of another user to one of ours", (context) =>
    Effect.gen(function* () {
      if (!isRoot) return skipBecause(context, "only root can give a file away")
      const outer = yield* temporaryHome
      const [home, link] = [Path.join(outer, "home"), Path.join(outer, "link")]
      Fs.mkdirSync(home, { mode: 0o700 })
      Fs.symlinkSync(home, link)
      expect(attempt(() => PrivateFile.ensureHome(link))).toBe("accepted")
      Fs.lchownSync(link, 65_534, 65_534)
      expect(attempt(() => PrivateFile.ensureHome(link))).toContain("belongs to the user 65534")
      Fs.chownSync(home, 65_534, 65_534)
      const refused = attempt(() => PrivateFile.ensureHome(home))
      expect(refused).toContain("belongs to the user 65534, and this process runs as 0")
      expect(refused).toContain(`chown 0 ${home}`)
    })
  )
})

describe("a group", () => {
  it.scopedLive(
    "that no other account has may write to a home: that of a volume of Kubernetes, or a user's own",
    (context) =>
      Effect.gen(function* () {
        if (!isRoot) return skipBecause(context, "only root can become another user")
        const home = yield* temporaryHome
        const secret = Path.join(home, "secret")
        Fs.writeFileSync(secret, "secret")
        const [command, ...words] = commandFor("test/platform/os/fixtures/useHome.ts")
        const asUser = (gid: number, groups: ReadonlyArray<number>): string =>
          execFileSync(command, [...words, "64001", String(gid), JSON.stringify(groups), home, secret], {
            cwd: "/",
            encoding: "utf8"
          })
        const set = (uid: number, gid: number, mode: number, fileMode: number) => {
          Fs.chownSync(home, uid, gid)
          Fs.chmodSync(home, mode)
          Fs.chownSync(secret, uid === 0 ? 64_001 : uid, gid)
          Fs.chmodSync(secret, fileMode)
        }
        // As the kubelet leaves a volume with `fsGroup: 64200`: root's, setgid, and every file open to the group.
        set(0, 64_200, 0o2775, 0o660)
        expect(asUser(64_001, [64_200])).toBe("accepted")
        expect(asUser(64_001, [])).toContain("belongs to the user 0")
        // Below it, in a directory of its own.
        set(64_001, 64_200, 0o2770, 0o660)
        expect(asUser(64_001, [64_200])).toBe("accepted")
        expect(asUser(64_001, [])).toContain("chmod 700")
        // A umask of 002, with a group that has the user's name.
        set(64_001, 64_001, 0o775, 0o660)
        expect(asUser(64_001, [])).toBe("accepted")
        set(64_001, 64_001, 0o775, 0o664)
        expect(asUser(64_001, [])).toContain("chmod 600")
        // A group of other accounts: every Linux has daemon's.
        set(64_001, 1, 0o775, 0o600)
        expect(asUser(64_001, [1])).toContain("chmod 700")
      })
  )
})

describe("a file of the home", () => {
  it.scopedLive("is refused where it is a link, a directory, a pipe, of another user or open to others", (context) =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const secret = Path.join(home, "jwt-secret")
      const read = () => attempt(() => PrivateFile.read(secret))
      const replaced = (make: () => void) => {
        Fs.rmSync(secret, { recursive: true, force: true })
        make()
      }
      Fs.symlinkSync("/etc/passwd", secret)
      expect(read()).toContain("is a symbolic link")
      replaced(() => Fs.mkdirSync(secret))
      expect(read()).toContain("is not a file")
      replaced(() => execFileSync("mkfifo", [secret]))
      expect(read()).toContain("is not a file")
      for (const mode of [0o644, 0o604, 0o620, 0o640]) {
        replaced(() => Fs.writeFileSync(secret, "text"))
        Fs.chmodSync(secret, mode)
        expect(read()).toContain(`chmod 600 ${secret}`)
      }
      Fs.chmodSync(secret, 0o400)
      expect(PrivateFile.read(secret)).toBe("text")
      if (!isRoot) return skipBecause(context, "only root can give a file away")
      Fs.chownSync(secret, 65_534, 65_534)
      expect(read()).toContain(`chown 0 ${secret}`)
    })
  )

  it.scopedLive("is written beside a link that was put in its place, never through it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const [victim, file] = [Path.join(home, "victim"), Path.join(home, "file")]
      Fs.writeFileSync(victim, "precious")
      Fs.symlinkSync(victim, file)
      PrivateFile.makeOnce(file, "made")
      expect(attempt(() => PrivateFile.read(file))).toContain("is a symbolic link")
      PrivateFile.replace(file, "replaced")
      expect(PrivateFile.read(file)).toBe("replaced")
      expect(modeOf(file)).toBe(0o600)
      expect(Fs.readFileSync(victim, "utf8")).toBe("precious")
      expect(Fs.readdirSync(home).sort()).toEqual(["file", "victim"])
    })
  )

  it.scopedLive("leaves no draft where the disk is full", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const file = JSON.stringify(Path.join(home, "secret"))
      const module = JSON.stringify(new URL("../../../src/platform/os/PrivateFile.ts", import.meta.url).href)
      // A limit of the size of files fails a write as a full disk does.
      const script = `const { makeOnce } = await import(${module});
        try { makeOnce(${file}, "text") } catch (cause) { process.exitCode = cause.code === "EFBIG" ? 7 : 8 }`
      const words = ["--import", "tsx", "--input-type=module", "--eval", script]
      const command = ['ulimit -f 0; exec "$@"', "sh", process.execPath, ...words]
      const { status } = spawnSync("sh", ["-c", ...command], { stdio: "ignore" })
      expect(status).toBe(7)
      expect(Fs.readdirSync(home)).toEqual([])
    })
  )

  it.scopedLive("that is a lock is neither made nor emptied through a link", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const [victim, lock] = [Path.join(home, "victim"), Path.join(home, "lock")]
      Fs.symlinkSync(victim, lock)
      expect((yield* Effect.flip(OsLock.tryAcquire(lock))).message).toContain("is a symbolic link")
      expect(Fs.existsSync(victim)).toBe(false)
      Fs.rmSync(lock)
      const held = yield* OsLock.tryAcquire(lock)
      expect(Option.isSome(held)).toBe(true)
      if (Option.isSome(held)) yield* held.value.release
    })
  )

  it.scopedLive("that is a directory is refused where it is a link or open to others", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const [victim, directory] = [Path.join(home, "victim"), Path.join(home, "journal")]
      PrivateFile.ensureDirectory(victim)
      Fs.symlinkSync(victim, directory)
      expect(attempt(() => PrivateFile.ensureDirectory(directory))).toContain("is not a directory")
      Fs.chmodSync(victim, 0o722)
      expect(attempt(() => PrivateFile.ensureDirectory(victim))).toContain(`chmod 700 ${victim}`)
    })
  )
})
