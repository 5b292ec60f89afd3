import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import { project } from "../../../test/support/Program.ts"
import { progress } from "../Progress.ts"

const run = promisify(execFile)

/**
 * Its version and those of its dependencies; a copy is installed outside the checkout's own packages. @hono/node-server is held at
 * 1.13.8: with the versions from 1.14.4 that were tried, the gateway answers every stream with status 500.
 */
const manifest = join(project, "scripts/bench/chat/portkey")
const installed = join(project, "node_modules/.bench/portkey")

const install = async (): Promise<string> => {
  await Fs.mkdir(installed, { recursive: true })
  for (const name of ["package.json", "pnpm-lock.yaml"]) await Fs.copyFile(join(manifest, name), join(installed, name))
  await run("pnpm", ["install", "--ignore-workspace", "--frozen-lockfile", "--ignore-scripts", "--prefer-offline"], {
    cwd: installed
  })
  return join(installed, "node_modules/@portkey-ai/gateway/build/start-server.js")
}

/** Installs @portkey-ai/gateway where it is not yet; returns the path of its program, or why there is none. */
export const portkeyProgram = Effect.zipRight(
  progress("installing @portkey-ai/gateway"),
  Effect.tryPromise({
    try: install,
    catch: (error) => `pnpm install failed in ${installed}: ${error instanceof Error ? error.message : String(error)}`
  })
)
