import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { signal } from "../../src/embedded-postgres/Postmaster.ts"
import { commandFor, project } from "./Program.ts"
import { readableCommandFor } from "./ReadableProgram.ts"

/** For tests that start several processes in a row, on a busy machine too. */
export const patient = { timeout: 120_000 }

const Ready = Schema.Struct({
  pid: Schema.Number,
  url: Schema.String,
  address: Schema.Struct({ host: Schema.String, port: Schema.Number }),
  version: Schema.String,
  dataDirectory: Schema.String,
  binaries: Schema.String,
  ownership: Schema.String,
  notes: Schema.Array(Schema.String),
  rows: Schema.Number
})
export type Ready = typeof Ready.Type

const Line = Schema.parseJson(
  Schema.Union(
    Schema.Struct({ ready: Ready }),
    Schema.Struct({ closed: Schema.Union(Schema.String, Schema.Struct({ rows: Schema.Number })) }),
    Schema.Struct({ failed: Schema.String, message: Schema.String })
  )
)
export type Line = typeof Line.Type

export interface EmbeddedProcess {
  readonly pid: number
  /** The next line of its stdout that is an object, in order. */
  readonly next: Effect.Effect<Line>
  /** The next line, which must say that PostgreSQL is there. */
  readonly ready: Effect.Effect<Ready>
  readonly failure: Effect.Effect<{ readonly failed: string; readonly message: string }>
  /** What it printed besides those lines: the log. */
  readonly log: () => string
  readonly kill: (name: NodeJS.Signals) => Effect.Effect<void>
  readonly end: Effect.Effect<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

export interface EmbeddedProcessOptions {
  readonly home: string
  readonly join?: boolean
  readonly once?: boolean
  readonly loopback?: boolean
  readonly tcpPort?: number
  readonly elsewhere?: ReadonlyArray<string>
  readonly turnPatience?: number
  readonly startDeadline?: number
  /** The user that runs it; by default our own. */
  readonly uid?: number
}

const fixture = "test/embedded-postgres/fixtures/embedded.ts"

/** A process of its own, in a group of its own, with an embedded PostgreSQL and a service that uses it. */
export const embeddedProcess = ({ uid, ...options }: EmbeddedProcessOptions) =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<Line>()
    const [command, ...words] = uid === undefined ? commandFor(fixture) : yield* readableCommandFor(fixture)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        return spawn(command, [...words, JSON.stringify({ join: false, ...options })], {
          cwd: uid === undefined ? project : "/",
          detached: true,
          stdio: ["pipe", "pipe", "pipe"],
          ...(uid === undefined ? {} : { uid, gid: uid })
        })
      }),
      (child) =>
        Effect.async<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    let log = ""
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString("utf8")
    })
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) Queue.unsafeOffer(lines, Schema.decodeSync(Line)(line))
      else log += `${line}\n`
    })
    const end = Effect.async<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>((resume) => {
      const settle = () => resume(Effect.succeed({ code: child.exitCode, signal: child.signalCode }))
      if (child.exitCode !== null || child.signalCode !== null) return settle()
      child.once("exit", settle)
    })
    const pid = child.pid ?? (yield* Effect.dieMessage("the process did not start"))
    const next = Queue.take(lines).pipe(
      Effect.timeoutFail({ duration: "60 seconds", onTimeout: () => new Error(`no line from the process:\n${log}`) }),
      Effect.orDie
    )
    const wanted = <A>(what: string, select: (line: Line) => A | undefined) =>
      Effect.flatMap(next, (line) => {
        const found = select(line)
        return found === undefined
          ? Effect.dieMessage(`expected ${what}, got ${JSON.stringify(line)}\n${log}`)
          : Effect.succeed(found)
      })
    return {
      pid,
      next,
      ready: wanted("ready", (line) => ("ready" in line ? line.ready : undefined)),
      failure: wanted("a failure", (line) => ("failed" in line ? line : undefined)),
      log: () => log,
      kill: (name) => Effect.sync(() => signal(pid, name)),
      end
    } satisfies EmbeddedProcess
  })
