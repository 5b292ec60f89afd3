import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import { type JsonResponse, jsonResponse, noFields } from "../../../src/platform/http/ErrorResponse.ts"
import type { JsonOperation, JsonRequest } from "../../../src/platform/http/FastLane.ts"
import { listen } from "../../../src/platform/http/Listener.ts"
import { CallCutOff, makeLocalCalls } from "../../../src/platform/http/LocalCalls.ts"
import { currentIds } from "../../../src/platform/http/RequestContext.ts"

const callsOf = (operation: JsonOperation) =>
  Effect.withTracerEnabled(makeLocalCalls("guardian", new Map([["/ask", operation]]), noFields), false)

type Calls = Effect.Effect.Success<ReturnType<typeof callsOf>>

const ask = (calls: Calls, text = "{}", headers: Readonly<Record<string, string>> = {}) =>
  Effect.async<JsonResponse, CallCutOff>((resume) => {
    const call = calls.find("/ask")
    if (call === undefined) return resume(Effect.dieMessage("there is no operation"))
    const leave = call({ headers, text }, (answer) =>
      resume(answer === undefined ? new CallCutOff({ service: "guardian" }) : Effect.succeed(answer))
    )
    return Effect.sync(leave)
  })

/** An operation that answers when it is told to. */
const waiting = Effect.gen(function* () {
  const begun = yield* Deferred.make<void>()
  const released = yield* Deferred.make<void>()
  const operation: JsonOperation = () =>
    Deferred.succeed(begun, undefined).pipe(
      Effect.zipRight(Deferred.await(released)),
      Effect.as(jsonResponse('"late"'))
    )
  return { begun: Deferred.await(begun), release: Deferred.succeed(released, undefined), operation }
})

const listening = (calls: Calls, drainFor: Duration.DurationInput) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const options = { service: "guardian", host: "127.0.0.1", port: 0, calls, handler: () => {} } as const
    yield* Scope.extend(listen({ ...options, drainFor: Duration.decode(drainFor) }), scope)
    return Scope.close(scope, Exit.void)
  }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))

describe("a call of a service in the same process", () => {
  it.live("reaches the operation as the request would over HTTP", () =>
    Effect.gen(function* () {
      const seen: Array<JsonRequest & { readonly trace: string | undefined }> = []
      const calls = yield* callsOf((request) =>
        Effect.withFiberRuntime((fiber) => {
          seen.push({ ...request, trace: currentIds(fiber)?.traceId })
          return Effect.succeed(jsonResponse('{"a":1}', { status: 201 }))
        })
      )
      const answer = yield* ask(calls, '{"b":2}', {
        authorization: " Bearer t ",
        "x-request-id": "r-1",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      })
      expect(answer).toMatchObject({ status: 201, text: '{"a":1}' })
      expect(seen[0]).toMatchObject({
        requestId: "r-1",
        authorization: "Bearer t",
        body: Either.right({ b: 2 }),
        trace: "4bf92f3577b34da6a3ce929d0e0e4736"
      })
      yield* ask(calls, JSON.stringify("x".repeat(64 * 1024)), { "x-request-id": "not an id", traceparent: "nonsense" })
      expect(seen[1]?.requestId).toMatch(/^[0-9a-f-]{36}$/)
      expect(seen[1]?.trace).toMatch(/^[0-9a-f]{32}$/)
      expect(seen[1]?.body).toMatchObject({
        left: { code: "body_too_large", reason: "the request body is larger than 65536 bytes" }
      })
      expect(calls.find("/Ask")).toBeUndefined()
    })
  )

  it.live("does not block the process where a header is full of spaces", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const calls = yield* callsOf(({ authorization }) => {
        seen.push(authorization)
        return Effect.succeed(jsonResponse("1"))
      })
      const inner = `Bearer${" ".repeat(1_000_000)}x`
      yield* ask(calls, "{}", { authorization: `\t ${inner} \t` })
      expect(seen).toEqual([inner])
    })
  )

  it.live("has a server span of the caller's trace where spans are recorded", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const operation: JsonOperation = () =>
        Effect.zipRight(
          Effect.orDie(Effect.tap(Effect.currentSpan, (span) => Effect.sync(() => spans.push(span)))),
          Effect.withFiberRuntime<JsonResponse>((fiber) =>
            Effect.succeed(jsonResponse(JSON.stringify(currentIds(fiber)?.traceId)))
          )
        )
      const calls = yield* makeLocalCalls("guardian", new Map([["/ask", operation]]), noFields)
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const answer = yield* ask(calls, "{}", { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
      expect(answer.text).toBe(JSON.stringify(traceId))
      expect(spans[0]).toMatchObject({ name: "POST /ask", kind: "server", traceId })
      expect(spans[0]?.attributes.get("http.response.status_code")).toBe(200)
    })
  )

  it.live("is answered 500 where the operation has a defect", () =>
    Effect.gen(function* () {
      const calls = yield* callsOf(() => Effect.dieMessage("a fault"))
      const answer = yield* ask(calls, "{}", { "x-request-id": "r-2" })
      expect(answer.status).toBe(500)
      expect(JSON.parse(answer.text)).toMatchObject({ error: { code: "internal_error", request_id: "r-2" } })
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.live("does not keep a client that leaves, while the operation ends what must not be interrupted", () =>
    Effect.gen(function* () {
      const { begun, operation, release } = yield* waiting
      const done = yield* Deferred.make<void>()
      const calls = yield* callsOf((request) =>
        Effect.uninterruptible(Effect.ensuring(operation(request), Deferred.succeed(done, undefined)))
      )
      const client = yield* Effect.fork(ask(calls))
      yield* begun
      yield* Fiber.interrupt(client)
      expect(calls.inFlight()).toBe(1)
      yield* release
      yield* Deferred.await(done)
    })
  )

  it.live("interrupts the operation when its client leaves", () =>
    Effect.gen(function* () {
      const { begun, operation } = yield* waiting
      const interrupted = yield* Deferred.make<void>()
      const calls = yield* callsOf((request) =>
        Effect.onInterrupt(operation(request), () => Deferred.succeed(interrupted, undefined))
      )
      const client = yield* Effect.fork(ask(calls))
      yield* begun
      yield* Fiber.interrupt(client)
      yield* Deferred.await(interrupted)
    })
  )

  it.live("is finished before the service ends, and a new one is answered 503", () =>
    Effect.gen(function* () {
      const { begun, operation, release } = yield* waiting
      const calls = yield* callsOf(operation)
      const close = yield* listening(calls, "1 minute")
      const client = yield* Effect.fork(ask(calls))
      yield* begun
      const closing = yield* Effect.fork(close)
      yield* Effect.yieldNow()
      const refused = yield* Effect.repeat(
        Effect.raceFirst(ask(calls), Effect.as(Effect.sleep("10 millis"), undefined)),
        { until: (answer) => answer !== undefined }
      )
      expect(refused?.status).toBe(503)
      expect(JSON.parse(refused?.text ?? "")).toMatchObject({ error: { code: "shutting_down" } })
      expect(closing.unsafePoll()).toBeNull()
      yield* release
      expect((yield* Fiber.join(client)).text).toBe('"late"')
      yield* Fiber.join(closing)
    })
  )

  it.live("is cut off where it does not end in time", () =>
    Effect.gen(function* () {
      const { begun, operation } = yield* waiting
      const calls = yield* callsOf((request) => Effect.uninterruptible(operation(request)))
      const close = yield* listening(calls, "20 millis")
      const client = yield* Effect.fork(ask(calls))
      yield* begun
      yield* close
      expect(yield* Effect.flip(Fiber.join(client))).toMatchObject({ _tag: "CallCutOff", service: "guardian" })
    })
  )
})
