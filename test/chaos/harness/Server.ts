import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Durability } from "../../../src/domain/Durability.ts"
import { type Ended, program } from "../../support/Program.ts"
import { signingSecret } from "../../support/Tokens.ts"

export interface ServerOptions {
  readonly mode: Durability
  /** Its GRAVITAS_HOME and working directory: the same for all processes that shall find each other's journals. */
  readonly home: string
  readonly databaseUrl: Redacted.Redacted
  readonly environment?: Readonly<Record<string, string>>
}

/** A gatekeeper in a process of its own. */
export interface Server {
  readonly pid: number
  /** Where it listens, once it does. */
  readonly url: Effect.Effect<string>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGKILL; returns when it is gone. Harmless when it is already. */
  readonly kill: Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
  readonly output: () => string
}

/** It ends with the scope; after `kill` nothing of it is left there. */
export const startServer = (options: ServerOptions): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const running = yield* program({
      args: ["gatekeeper"],
      directory: options.home,
      environment: {
        GRAVITAS_HOME: options.home,
        DATABASE_URL: Redacted.value(options.databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        AUDIT_DURABILITY: options.mode,
        ...options.environment
      }
    }).pipe(Scope.extend(scope))
    return {
      pid: running.pid,
      url: running.url("gatekeeper"),
      signal: running.signal,
      kill: running
        .signalGroup("SIGKILL")
        .pipe(Effect.zipRight(running.ended()), Effect.zipRight(Scope.close(scope, Exit.void))),
      ended: running.ended(),
      output: running.output
    }
  })

const Health = Schema.parseJson(Schema.Struct({ audit: Schema.Struct({ depth: Schema.Number, drain: Schema.String }) }))

/** What the gatekeeper's `/health` says of its trail; undefined when it does not answer. */
export const healthOf = (url: string) =>
  Effect.tryPromise(async () => {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) })
    return Schema.decodeSync(Health)(await response.text()).audit
  }).pipe(Effect.orElseSucceed(() => undefined))

const entriesOf = (directory: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() => Fs.readdir(directory).catch(() => []))

const quarantine = "quarantine"

/** How many processes, the running one counted, have left something in the home's journal. */
export const journalsIn = (home: string): Effect.Effect<number> =>
  Effect.map(entriesOf(Path.join(home, "journal")), (names) => names.filter((name) => name !== quarantine).length)

/** How many spans of journals were set aside as damaged. */
export const quarantinedIn = (home: string): Effect.Effect<number> =>
  Effect.promise(() =>
    Fs.readdir(Path.join(home, "journal", quarantine), { recursive: true, withFileTypes: true }).then(
      (entries) => entries.filter((entry) => entry.isFile()).length,
      () => 0
    )
  )

/**
 * Waits until the only process of a home has no more than `waiting` events to write, and nothing of those before it. False when
 * that is not so within a minute, which is long also for a machine that has other work.
 */
export const settled = (url: string, home: string, waiting = 0): Effect.Effect<boolean> =>
  Effect.all([healthOf(url), journalsIn(home)]).pipe(
    Effect.map(([audit, journals]) => audit !== undefined && audit.depth <= waiting && journals <= 1),
    Effect.repeat({ until: (done) => done, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutTo({ duration: "1 minute", onSuccess: () => true, onTimeout: () => false })
  )
