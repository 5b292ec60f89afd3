import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { join, parse, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { temporaryHome } from "./TemporaryHome.ts"

export const project = resolve(import.meta.dirname, "../..")

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** As a URL: `tsx` alone would be looked for beside the directory of the start. */
export const tsxLoader = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

/** As a user starts the program: from its sources. */
export const fromSources = [process.execPath, "--import", tsxLoader] as const

/** As `pnpm start` starts the program: its build, which is made first when it is older than the sources. */
export const fromBuild = (checkout: string) => [process.execPath, join(checkout, "scripts/build/run.mjs")] as const

/**
 * The command that runs a program of this checkout, by its path there. In a test run: the run's own bundle. Outside, as in
 * `pnpm chaos`: the build, or the sources of a program that is not in it.
 */
export const commandFor = (source: string): readonly [command: string, ...words: ReadonlyArray<string>] => {
  const bundle = process.env["GRAVITAS_TEST_PROGRAMS"]
  if (bundle !== undefined) return [process.execPath, join(bundle, `${parse(source).name}.mjs`)]
  return source === "src/main.ts" ? fromBuild(project) : [...fromSources, join(project, source)]
}

/** The real program, in a process and a process group of its own. */
export interface Program {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly output: () => string
  /** To the process alone. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** To its whole group, as a terminal's Ctrl-C. */
  readonly signalGroup: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Dies after `patience` with all that the program printed. */
  readonly ended: (patience?: Duration.DurationInput) => Effect.Effect<Ended>
  /** Waits until `pattern` is in its output; dies when the program ends first. */
  readonly printed: (pattern: RegExp, patience?: Duration.DurationInput) => Effect.Effect<RegExpExecArray>
  /** Closes the reader of stdout and stderr, as a log shipper that ends. */
  readonly closeOutput: Effect.Effect<void>
  /** Of a service, once the banner tells it. */
  readonly url: (service: string) => Effect.Effect<string>
}

export interface ProgramOptions {
  readonly args?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  /** Where it is started: by default an empty directory, so that a developer's own `.env` does not reach a test. */
  readonly directory?: string
  /** What runs the program's sources. */
  readonly runner?: ReadonlyArray<string>
  /** The whole command, in place of `runner` and `args`. */
  readonly command?: ReadonlyArray<string>
}

/** What the machine's own environment says must not reach the program under test. */
const inherited = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR", "LANG"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
)

const kill = (pid: number, signal: NodeJS.Signals) =>
  Effect.sync(() => {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended.
    }
  })

const commandOf = ({ args = [], runner }: ProgramOptions): ReadonlyArray<string> =>
  runner === undefined ? [...commandFor("src/main.ts"), ...args] : [...runner, join(project, "src/main.ts"), ...args]

/** Runs `src/main.ts` on free ports; killed with its group, if still there, when the scope ends. */
export const program = (options: ProgramOptions = {}): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = options.directory ?? (yield* temporaryHome)
    const [command = "", ...words] = options.command ?? commandOf(options)
    const child: ChildProcess = spawn(command, words, {
      cwd: directory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...inherited,
        GATEKEEPER_PORT: "0",
        GUARDIAN_PORT: "0",
        ROUTER_PORT: "0",
        ACCESS_POLICY_PATH: join(project, "test/support/fleet-policy.yaml"),
        ROUTER_MODELS_PATH: join(project, "config/models.yaml"),
        // All tests send from one address, and many send hundreds of failures.
        AUDIT_FAILURES_PER_ADDRESS: "100000",
        AUDIT_FAILURES_IN_ALL: "100000",
        ...options.environment
      }
    })
    let stdout = ""
    let stderr = ""
    let ended: Ended | undefined
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk
    })
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk
    })
    child.once("close", (code, signal) => {
      ended = { code, signal }
    })
    const pid = child.pid ?? 0
    const output = () => `${stdout}\n${stderr}`
    const until = <A>(read: () => A | undefined, what: string, patience: Duration.DurationInput): Effect.Effect<A> =>
      Effect.async<A>((resume) => {
        const deadline = Date.now() + Duration.toMillis(patience)
        const timer = setInterval(() => {
          const value = read()
          if (value !== undefined) {
            clearInterval(timer)
            resume(Effect.succeed(value))
          } else if (ended !== undefined || Date.now() > deadline) {
            clearInterval(timer)
            resume(Effect.die(new Error(`${what}, ${JSON.stringify(ended)}; it printed:\n${output()}`)))
          }
        }, 10)
        return Effect.sync(() => clearInterval(timer))
      })
    // Asked first, so that it stops the PostgreSQL that it may have started.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        if (ended !== undefined) return
        yield* kill(pid, "SIGTERM")
        yield* until(() => ended, "", "10 seconds").pipe(Effect.catchAllCause(() => kill(-pid, "SIGKILL")))
      })
    )
    const printed = (pattern: RegExp, patience: Duration.DurationInput = "45 seconds") =>
      until(
        () => {
          const match = pattern.exec(output())
          if (match !== null) return match
          return undefined
        },
        `${pattern} was not printed`,
        patience
      )
    return {
      pid,
      stdout: () => stdout,
      stderr: () => stderr,
      output,
      signal: (signal) => kill(pid, signal),
      signalGroup: (signal) => kill(-pid, signal),
      ended: (patience = "30 seconds") => until(() => ended, "the program did not end", patience),
      printed,
      closeOutput: Effect.sync(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      }),
      url: (service) =>
        Effect.map(printed(new RegExp(`${service}\\s+(http://[0-9.:]+)`, "i")), (match) => match[1] ?? "")
    }
  })
