import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Settings } from "./Settings.ts"

/** Whether a person reads this stream. */
export const isTerminal = (stream: "stdout" | "stderr"): boolean => process[stream].isTTY === true

/**
 * Pretty on a terminal, one JSON object a line otherwise, unless `LOG_FORMAT` says which; from `LOG_LEVEL` up.
 *
 * A server logs to stdout; a command to stderr, since its stdout is its result.
 */
export const layer = (stream: "stdout" | "stderr") =>
  Layer.unwrapEffect(
    Effect.map(Settings, ({ log }) => {
      const terminal = isTerminal(stream)
      const pretty = log.format === "pretty" || (log.format === "auto" && terminal)
      const logger = pretty
        ? Logger.prettyLogger({ colors: terminal, stderr: stream === "stderr" })
        : stream === "stdout"
          ? Logger.withConsoleLog(Logger.jsonLogger)
          : Logger.withConsoleError(Logger.jsonLogger)
      return Layer.merge(
        Logger.replace(Logger.defaultLogger, logger),
        Logger.minimumLogLevel(LogLevel.fromLiteral(log.level))
      )
    })
  )
