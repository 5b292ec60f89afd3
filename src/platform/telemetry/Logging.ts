import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { isTerminal, visibleLines } from "../cli/TerminalText.ts"
import { Settings } from "../config/Settings.ts"
import { requestHeaders, requestIdOf, traceIdOf } from "../http/RequestContext.ts"

/** An error as its message and stack: an inspector would print its other fields too, such as the row that PostgreSQL refused. */
const readable = (part: unknown): unknown => {
  if (typeof part === "string") return visibleLines(part)
  if (typeof part !== "object" || part === null) return part
  return visibleLines(part instanceof Error ? causeText(Cause.die(part)) : Inspectable.toStringUnknown(part))
}

const causeText = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause, { renderErrorCause: true })

/** Escapes what could move the cursor of a terminal, or hide or reverse what follows, in all that a line holds. */
const escaping = <Output>(logger: Logger.Logger<unknown, Output>): Logger.Logger<unknown, Output> =>
  Logger.mapInputOptions(logger, (options) => {
    const text = Cause.isEmpty(options.cause) ? "" : causeText(options.cause)
    const isPlain = text === visibleLines(text)
    const parts = Arr.ensure(options.message).map(readable)
    return {
      ...options,
      message: isPlain ? parts : [...parts, visibleLines(text)],
      cause: isPlain ? options.cause : Cause.empty,
      annotations: HashMap.map(options.annotations, readable)
    }
  })

/**
 * Prepares a logger for any sink: escapes foreign text, and adds a request's id and trace id to its lines. They are read when a line is
 * written, so that a request without a line costs nothing.
 */
export const prepared = <Output>(logger: Logger.Logger<unknown, Output>): Logger.Logger<unknown, Output> =>
  Logger.mapInputOptions(escaping(logger), (options) => {
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
        Logger.replace(Logger.defaultLogger, prepared(logger)),
        Logger.minimumLogLevel(LogLevel.fromLiteral(log.level))
      )
    })
  )
