import { spawn } from "node:child_process"
import { cpSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { project } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"

const parts = ["src", "migrations", "config", "scripts", "package.json", "pnpm-lock.yaml", "tsconfig.json"]

/** A copy of this checkout without a build, for tests that change it; gone when the scope closes. */
export const checkoutCopy = Effect.map(temporaryHome, (home) => {
  const copy = join(home, "checkout")
  for (const part of parts) cpSync(join(project, part), join(copy, part), { recursive: true })
  symlinkSync(join(project, "node_modules"), join(copy, "node_modules"))
  return copy
})

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly directory: string
  readonly environment?: Readonly<Record<string, string>>
  /** The user and group that run it; only root may say so. */
  readonly uid?: number
}

/** Runs a command to its end with little more than `PATH` in its environment. */
export const run = (command: ReadonlyArray<string>, { directory, environment = {}, uid }: RunOptions) =>
  Effect.async<Ran>((resume) => {
    const [file = "", ...words] = command
    const child = spawn(file, words, {
      cwd: directory,
      env: { PATH: process.env["PATH"], ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
