import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { promisify } from "node:util"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as OsLock from "../../../src/platform/os/OsLock.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const lockIn = Effect.map(temporaryHome, (home) => Path.join(home, "lock"))
const textOf = (path: string) => Effect.promise(() => Fs.readFile(path, "utf8"))

it.scopedLive("one descriptor has the lock at a time, and the others can read who it is", () =>
  Effect.gen(function* () {
    const path = yield* lockIn
    const first = Option.getOrThrow(yield* OsLock.tryAcquire(path))
    yield* first.write("the first, at length\n")
    yield* first.write("the first\n")
    expect(Option.isNone(yield* OsLock.tryAcquire(path))).toBe(true)
    expect(yield* textOf(path)).toBe("the first\n")
    yield* first.release
    yield* first.release
    const second = Option.getOrThrow(yield* OsLock.tryAcquire(path))
    expect(yield* textOf(path)).toBe("the first\n")
    yield* second.release
  })
)

it.scopedLive("it dies with its process, however that ends", () =>
  Effect.gen(function* () {
    const path = yield* lockIn
    const module = new URL("../../../src/platform/os/OsLock.ts", import.meta.url).href
    const script =
      `import * as Effect from "effect/Effect"; import { tryAcquire } from "${module}"; ` +
      `const lock = await Effect.runPromise(tryAcquire(${JSON.stringify(path)})); ` +
      "console.log(lock._tag); setInterval(() => lock, 1000)"
    const child = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof execFile>>((resume) => {
        const child = execFile(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script])
        child.stdout?.once("data", () => resume(Effect.succeed(child)))
        child.once("exit", (code) => resume(Effect.die(new Error(`the holder ended with ${code}`))))
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    expect(Option.isNone(yield* OsLock.tryAcquire(path))).toBe(true)
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    yield* Effect.promise(() => ended)
    const lock = Option.getOrThrow(yield* OsLock.tryAcquire(path))
    yield* lock.release
  })
)

it.scopedLive("a lock on a removed file is not a lock", () =>
  Effect.gen(function* () {
    const path = yield* lockIn
    const holder = Option.getOrThrow(yield* OsLock.tryAcquire(path))
    yield* Effect.promise(() => Fs.rm(path))
    yield* holder.release
    const next = Option.getOrThrow(yield* OsLock.tryAcquire(path))
    expect(Option.isNone(yield* OsLock.tryAcquire(path))).toBe(true)
    yield* next.release
  })
)

it.scopedLive("a place where no file can be says what is wrong", () =>
  Effect.gen(function* () {
    const path = Path.join(yield* lockIn, "nowhere")
    const unusable = yield* Effect.flip(OsLock.tryAcquire(path))
    expect(unusable.message).toContain(`the lock file ${path} is not usable: ENOENT`)
  })
)

it.scopedLive("it is held on a full disk too, without the holder's name", () =>
  Effect.gen(function* () {
    const path = yield* lockIn
    const module = new URL("../../../src/platform/os/OsLock.ts", import.meta.url).href
    const script =
      `import * as Effect from "effect/Effect"; import { tryAcquire } from "${module}"; ` +
      `const take = () => Effect.runPromise(tryAcquire(${JSON.stringify(path)})); const lock = await take(); ` +
      'await Effect.runPromise(lock.value.write("the first")); console.log(lock._tag, (await take())._tag)'
    const words = ["--import", "tsx", "--input-type=module", "--eval", script]
    // A limit of the size of files fails a write as a full disk does.
    const limited = ["-c", 'ulimit -f 0; exec "$@"', "sh", process.execPath, ...words]
    const { stdout } = yield* Effect.promise(() => promisify(execFile)("sh", limited))
    expect(stdout).toBe("Some None\n")
    expect(yield* textOf(path)).toBe("")
  })
)
