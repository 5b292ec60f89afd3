import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import { temporaryHome } from "./TemporaryHome.ts"

const mount = (place: string, size: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=0700`, "tmpfs", place], { stdio: "ignore" })

/** Mounting needs root and a system that lets it mount: a container of its own often does not. */
export const isMountable = (() => {
  const place = Fs.mkdtempSync("/tmp/gravitas-mount-")
  try {
    mount(place, "256k")
    execFileSync("umount", [place], { stdio: "ignore" })
    return true
  } catch {
    return false
  } finally {
    Fs.rmdirSync(place)
  }
})()

export const notMountable = "a tmpfs cannot be mounted here"

/** A disk of its own, of a size such as `256k`. */
export const smallDisk = (size: string) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const place = Path.join(yield* temporaryHome, "disk")
      Fs.mkdirSync(place)
      mount(place, size)
      return place
    }),
    (place) => Effect.sync(() => execFileSync("umount", ["-l", place]))
  )

/** Fills the disk to its last byte. */
export const fillUp = (place: string) =>
  Effect.sync(() => {
    const fd = Fs.openSync(Path.join(place, "ballast"), "w")
    try {
      while (Fs.writeSync(fd, Buffer.alloc(4_096)) > 0);
    } catch {
      // It is full.
    } finally {
      Fs.closeSync(fd)
    }
  })
