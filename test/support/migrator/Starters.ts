import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../../src/domain/Service.ts"
import type { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { commandFor } from "../Program.ts"
import { ask } from "./Fixture.ts"

const Ended = Schema.parseJson(
  Schema.Struct({ problem: Schema.NullOr(Schema.String), applied: Schema.Array(Schema.String) })
)
export type Ended = typeof Ended.Type

/** A process of its own that starts a service on order, as often as asked. */
export interface Starter {
  /** After `delay` milliseconds; fails never: `problem` is the error's message. */
  readonly start: (url: Redacted.Redacted, service: ServiceName, delay: number) => Effect.Effect<Ended>
}

/** Ready when this answers; killed when the scope closes. */
export const starter = Effect.gen(function* () {
  const ended = yield* Queue.unbounded<Ended>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const [command, ...words] = commandFor("test/support/migrator/starter.ts")
      const child = spawn(command, words, { stdio: ["pipe", "pipe", "inherit"] })
      createInterface({ input: child.stdout }).on("line", (line) =>
        Queue.unsafeOffer(ended, Schema.decodeSync(Ended)(line))
      )
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* Queue.take(ended)
  const self: Starter = {
    start: (url, service, delay) =>
      Effect.zipRight(
        Effect.sync(() => child.stdin.write(`${JSON.stringify({ url: Redacted.value(url), service, delay })}\n`)),
        Queue.take(ended)
      )
  }
  return self
})

/** What one round of starters came to. */
export interface Round {
  readonly problems: ReadonlyArray<string>
  /** How many of the starters applied something. */
  readonly appliers: number
  /** What must be the same in every round. */
  readonly history: ReadonlyArray<unknown>
  readonly events: ReadonlyArray<unknown>
}

/** Starts `service` in all of them on one empty database, each after its own delay. */
export const race = (
  starters: ReadonlyArray<Starter>,
  url: Redacted.Redacted,
  service: ServiceName,
  delays: ReadonlyArray<number>
): Effect.Effect<Round, DatabaseError> =>
  Effect.gen(function* () {
    const ended = yield* Effect.forEach(starters, (one, index) => one.start(url, service, delays[index] ?? 0), {
      concurrency: "unbounded"
    })
    return {
      problems: ended.flatMap(({ problem }) => problem ?? []),
      appliers: ended.filter(({ applied }) => applied.length > 0).length,
      history: yield* ask(
        url,
        `select revision, position, slug, state, up_checksum, down_checksum, steps_done, steps_total
         from ${service}.schema_history order by revision`
      ),
      events: yield* ask(url, `select event, slug from ${service}.schema_event order by id`)
    }
  })
