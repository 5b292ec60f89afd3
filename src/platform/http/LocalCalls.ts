import type { IncomingMessage } from "node:http"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type { ServiceName } from "../../domain/Service.ts"
import { type ErrorFields, errorJson, type JsonResponse, shuttingDown } from "./ErrorResponse.ts"
import { type JsonOperation, makeFork, type OperationsByPath } from "./FastLane.ts"
import { admitTraceContext, assignRequestId, beginTrace, type RequestSource } from "./RequestContext.ts"
import { type JsonBody, maximumBodyBytes, parseJsonText, tooLargeBody } from "./RequestDecoding.ts"

/** The operations of one service that a client in the same process can call, by path. */
export class LocalOperations extends Context.Tag("platform/http/LocalOperations")<
  LocalOperations,
  {
    readonly add: (path: string, operation: JsonOperation) => void
    readonly all: OperationsByPath
  }
>() {
  static readonly layer = Layer.sync(LocalOperations, () => {
    const all = new Map<string, JsonOperation>()
    return { add: (path, operation) => void all.set(path, operation), all }
  })
}

/** A `POST` as a client would send it over HTTP. */
export interface LocalRequest {
  /** `authorization`, `x-request-id`, `traceparent` and `tracestate`, as far as the client sends them. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly text: string
  /** Whether the token is the caller's own, or addressed to the service that calls; without it, as over HTTP. */
  readonly isForCaller?: boolean
  /** The request that the client handles. */
  readonly caller?: RequestSource | undefined
}

/** The service stopped before it answered; what was asked may have been done. */
export class CallCutOff extends Data.TaggedError("CallCutOff")<{ readonly service: ServiceName }> {}

/**
 * Starts a call, and returns how its client leaves it: the operation is interrupted, as by a client that hangs up. `done` gets the
 * answer, or undefined where the service stopped before; only its first call counts.
 */
export type LocalCall = (request: LocalRequest, done: (answer: JsonResponse | undefined) => void) => () => void

/** The calls that a service answers in its process, without a connection. */
export interface LocalCalls {
  /** The call of the operation at `path`; undefined where it has to be asked over HTTP. */
  readonly find: (path: string) => LocalCall | undefined
  /** From now on, new calls are answered 503. */
  readonly refuse: () => void
  readonly inFlight: () => number
  readonly idle: Effect.Effect<void>
  /** Interrupts the calls in flight. Their clients get no answer, and do not wait for uninterruptible work. */
  readonly cutOff: () => void
}

/** Linear for a long run of spaces within a value too: only the first space of a run matches. */
const surroundingSpace = /^[\t ]+|(?<![\t ])[\t ]+$/g

/** The headers as a server reads them: without white space around a value, and with the ids that the listener assigns. */
const headersOf = (request: LocalRequest, isTraced: boolean): IncomingMessage["headers"] => {
  const headers: IncomingMessage["headers"] = { "content-type": "application/json" }
  for (const [name, value] of Object.entries(request.headers)) headers[name] = value.replace(surroundingSpace, "")
  assignRequestId({ headers })
  admitTraceContext({ headers })
  if (!isTraced) beginTrace({ headers })
  return headers
}

const bodyOf = (text: string): JsonBody =>
  Buffer.byteLength(text) > maximumBodyBytes ? tooLargeBody(maximumBodyBytes) : parseJsonText(text)

/**
 * Makes the local calls of a service. A call runs the operation that answers the same request over HTTP, on a fiber of the service: it
 * decodes the same text, has the same limits, and leaves the same rows. A client that is interrupted does not wait for it; the operation
 * is interrupted, as by a client that hangs up.
 */
export const makeLocalCalls = (
  service: ServiceName,
  operations: OperationsByPath,
  errorFields: ErrorFields
): Effect.Effect<LocalCalls> =>
  Effect.gen(function* () {
    const fork = yield* makeFork(service, errorFields)
    const isTraced = yield* FiberRef.get(FiberRef.currentTracerEnabled)
    /** Ends a call without an answer, by the fiber of its operation. */
    const inFlight = new Map<Fiber.RuntimeFiber<unknown, unknown>, () => void>()
    let isRefusing = false
    const idle = Effect.unsafeMakeLatch(true)

    const call =
      (path: string, operation: JsonOperation): LocalCall =>
      (request, done) => {
        if (isRefusing) {
          const requestId = assignRequestId({ headers: { ...request.headers } })
          done(errorJson(shuttingDown(service, requestId, errorFields(503, path))))
          return () => {}
        }
        const isLocal = request.isForCaller === true
        const local: JsonOperation = (asked) => operation({ ...asked, isLocal })
        const source = { headers: headersOf(request, isTraced), caller: request.caller }
        const fiber = fork(local, path, source, bodyOf(request.text))
        idle.unsafeClose()
        inFlight.set(fiber, () => done(undefined))
        fiber.addObserver((exit) => {
          inFlight.delete(fiber)
          done(Exit.isSuccess(exit) ? exit.value : undefined)
          if (inFlight.size === 0) idle.unsafeOpen()
        })
        return () => fiber.unsafeInterruptAsFork(FiberId.none)
      }

    const calls = new Map([...operations].map(([path, operation]) => [path, call(path, operation)] as const))
    return {
      find: (path) => calls.get(path),
      refuse: () => {
        isRefusing = true
      },
      inFlight: () => inFlight.size,
      idle: idle.await,
      cutOff: () => {
        for (const [fiber, cutOff] of inFlight) {
          cutOff()
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
      }
    }
  })
