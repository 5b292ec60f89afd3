import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { isTerminal } from "../cli/TerminalText.ts"
import { Settings } from "../config/Settings.ts"
import { requestHeaders, requestIdOf, traceIdOf } from "../http/RequestContext.ts"

/** Adds a request's id and trace id to its lines. They are read when a line is written, so that a request without a line costs nothing. */
export const annotatingRequest = <Output>(logger: Logger.Logger<unknown, Output>): Logger.Logger<unknown, Output> =>
  Logger.mapInputOptions(logger, (options) => {
    const context = FiberRefs.getOrDefault(options.context, FiberRef.currentContext)
    const headers = requestHeaders(context)
    if (headers === undefined) return options
    const annotations = HashMap.set(options.annotations, "request_id", requestIdOf(headers))
    const traceId = traceIdOf(headers)
    return {
      ...options,
      annotations: traceId === undefined ? annotations : HashMap.set(annotations, "trace_id", traceId)
    }
  })

/** Pretty on a terminal, else one JSON object a line, unless `LOG_FORMAT` says which. A command logs to stderr: its stdout is its result. */
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
        Logger.replace(Logger.defaultLogger, annotatingRequest(logger)),
        Logger.minimumLogLevel(LogLevel.fromLiteral(log.level))
      )
    })
  )
