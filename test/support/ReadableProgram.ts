import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import { commandFor } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"

const run = promisify(execFile)

/** True if every user may enter all directories above the file. */
const isReachable = async (file: string): Promise<boolean> => {
  const parent = Path.dirname(file)
  if (parent === file) return true
  return ((await Fs.stat(parent)).mode & 0o001) !== 0 && isReachable(parent)
}

/**
 * The command that runs a bundled program as any user of this machine.
 *
 * Root's checkout, its packages and its Node may lie below a folder that other users cannot enter, for example `/root`. So the
 * bundle, which holds all that it loads, is copied to a temporary directory.
 */
export const readableCommandFor = (source: string) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    return yield* Effect.promise(async () => {
      const bundled = commandFor(source).at(-1) ?? ""
      await Fs.cp(Path.dirname(bundled), directory, { recursive: true })
      const program = Path.join(directory, Path.basename(bundled))
      const own = await Fs.realpath(process.execPath)
      const node = (await isReachable(own)) ? own : Path.join(directory, "node")
      if (node !== own) await Fs.copyFile(own, node)
      await run("chmod", ["-R", "a+rX", directory])
      return [node, program] as const
    })
  })
