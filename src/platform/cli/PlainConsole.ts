import { stripVTControlCharacters } from "node:util"
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import { isTerminal } from "../telemetry/Logging.ts"

const plain = (values: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  values.map((value) => (typeof value === "string" ? stripVTControlCharacters(value) : value))

/** Takes colours out of what is printed to a stream that is no terminal: the command line's help always has them. */
export const plainInPipes = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Console.consoleWith((console) =>
    Console.withConsole(effect, {
      ...console,
      log: (...values) => console.log(...(isTerminal("stdout") ? values : plain(values))),
      error: (...values) => console.error(...(isTerminal("stderr") ? values : plain(values)))
    })
  )
