import { type ChildProcess, fork } from "node:child_process"
import { resolve } from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { project, tsxLoader } from "./Program.ts"

/** A program of the bench in a process of its own; they tell each other things by messages. */
export interface BenchProcess {
  /** Waits for its next message; dies when the program ends before. */
  readonly next: <A, I>(schema: Schema.Schema<A, I>) => Effect.Effect<A>
  readonly send: (message: string) => Effect.Effect<void>
  /** SIGKILL; returns when it is gone. */
  readonly kill: Effect.Effect<void>
}

export interface BenchProcessOptions {
  /** Its path: in this checkout, or that of a bundled program. */
  readonly program: string
  readonly words: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string>>
  /** For node itself. */
  readonly flags?: ReadonlyArray<string>
}

/** What the machine's own environment says of audit, ports and the like must not reach the program. */
const inherited = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR", "LANG"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
)

const start = ({ environment, flags = [], program, words }: BenchProcessOptions): ChildProcess =>
  fork(resolve(project, program), words, {
    execArgv: program.endsWith(".ts") ? [...flags, "--import", tsxLoader] : [...flags],
    env: { ...inherited, ...environment },
    // Its log goes where the progress goes.
    stdio: ["ignore", 2, 2, "ipc"]
  })

/** Told to end, and waited for, when the scope closes. */
export const benchProcess = (options: BenchProcessOptions): Effect.Effect<BenchProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const messages = yield* Queue.unbounded<unknown>()
    const ended = yield* Deferred.make<string>()
    const child = start(options)
    child.on("message", (message) => Queue.unsafeOffer(messages, message))
    child.once("exit", (code, signal) =>
      Deferred.unsafeDone(ended, Effect.succeed(`${options.program} ended: ${signal ?? code}`))
    )
    const signal = (name: NodeJS.Signals) => Effect.sync(() => child.kill(name))
    const kill = Effect.zipRight(signal("SIGKILL"), Deferred.await(ended))
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(signal("SIGTERM"), Deferred.await(ended)).pipe(
        Effect.interruptible,
        Effect.timeoutTo({ duration: "30 seconds", onSuccess: () => Effect.void, onTimeout: () => kill }),
        Effect.flatten
      )
    )
    return {
      next: (schema) =>
        Effect.raceFirst(Queue.take(messages), Effect.flatMap(Deferred.await(ended), Effect.dieMessage)).pipe(
          Effect.flatMap(Schema.decodeUnknown(schema)),
          Effect.orDie
        ),
      send: (message) => Effect.sync(() => child.send(message)),
      kill: Effect.asVoid(kill)
    }
  })
