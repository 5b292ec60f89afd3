import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const readText = (path: string) =>
  Effect.tryPromise(() => Fs.readFile(path, "utf8")).pipe(Effect.map((text) => text.trim()))

const run = (command: string, ...words: ReadonlyArray<string>) =>
  Effect.async<string, Error>((resume) => {
    const child = execFile(command, words, { timeout: 2_000 }, (error, stdout) =>
      resume(error === null ? Effect.succeed(stdout.trim()) : Effect.fail(error))
    )
    return Effect.sync(() => child.kill())
  })

/**
 * Estimates the time of the boot, to the minute: the clock and the uptime are read one after the other, and the clock may be
 * corrected. If two processes of one boot differ, they count as processes of two boots.
 */
const estimate = Effect.map(
  Clock.currentTimeMillis,
  (now) => `since ${new Date(Math.round((now - Os.uptime() * 1_000) / 60_000) * 60_000).toISOString()}`
)

/**
 * An id of the machine's present boot, the same for all its processes until it reboots. From the kernel on Linux
 * (`random/boot_id`, see random(4)) and macOS (`kern.boottime`); elsewhere the time of the boot.
 */
export const bootId: Effect.Effect<string> = Effect.suspend(() => {
  switch (process.platform) {
    case "linux":
      return readText("/proc/sys/kernel/random/boot_id")
    case "darwin":
      // `{ sec = 1763900000, usec = 123456 } Sun Nov 23 …`: the text after the braces depends on the locale.
      return Effect.map(run("/usr/sbin/sysctl", "-n", "kern.boottime"), (text) => text.replace(/\}.*$/s, "}"))
    default:
      return estimate
  }
}).pipe(
  Effect.filterOrElse(
    (id) => id !== "",
    () => estimate
  ),
  Effect.catchAll(() => estimate)
)
