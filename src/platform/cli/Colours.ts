import * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { isTerminal } from "../telemetry/Logging.ts"

/** https://no-color.org: set to anything but nothing. */
const refusedByEnvironment = Config.string("NO_COLOR").pipe(
  Config.withDefault(""),
  Config.map((value) => value !== ""),
  Effect.orElseSucceed(() => false)
)

/** Whether stdout gets colours: on a terminal, unless `--no-color` or NO_COLOR says no. */
export const coloursWanted = (noColor: boolean): Effect.Effect<boolean, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    return !noColor && isTerminal("stdout") && (yield* terminal.isTTY) && !(yield* refusedByEnvironment)
  })
