import { type ChildProcessByStdio, spawn } from "node:child_process"
import type { Readable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { commandFor } from "../Program.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly ended: Promise<Ended>
}

/** Starts a program of this folder; killed, if it still runs, when the scope closes. */
export const start = (
  program: "startService" | "runMigrate",
  args: ReadonlyArray<string>,
  options: { readonly url: Redacted.Redacted; readonly migrations?: string }
) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const [command, ...words] = commandFor(`test/support/migrator/${program}.ts`)
      const child = spawn(command, [...words, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: process.env["PATH"],
          DATABASE_URL: Redacted.value(options.url),
          DATABASE_CONNECT_DEADLINE: "2s",
          ...(options.migrations === undefined ? {} : { MIGRATIONS: options.migrations })
        }
      })
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk) => {
        stdout += String(chunk)
      })
      child.stderr.on("data", (chunk) => {
        stderr += String(chunk)
      })
      return { child, ended: new Promise((done) => child.on("close", (code) => done({ code, stdout, stderr }))) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Starts it and waits for its end. */
export const run = (...args: Parameters<typeof start>) =>
  Effect.scoped(Effect.flatMap(start(...args), ({ ended }) => Effect.promise(() => ended)))
