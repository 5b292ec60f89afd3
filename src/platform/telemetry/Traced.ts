import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import type * as Tracer from "effect/Tracer"

type SpanOptions = Pick<Tracer.SpanOptions, "kind" | "attributes">

/** Runs `work` in a span where spans are exported. Elsewhere it is one step: `Effect.withSpan` takes a dozen to make none. */
export const inSpan =
  (name: string, options?: SpanOptions) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiberRuntime((fiber) =>
      fiber.getFiberRef(FiberRef.currentTracerEnabled)
        ? Effect.withSpan(work, name, { captureStackTrace: false, ...options })
        : work
    )

/** As `Effect.fn(name)`, for what each request calls: without an error object for each call. */
export const traced =
  (name: string, options?: SpanOptions) =>
  <Args extends ReadonlyArray<unknown>, A, E, R>(body: (...args: Args) => Effect.Effect<A, E, R>) =>
  (...args: Args): Effect.Effect<A, E, R> =>
    inSpan(name, options)(Effect.suspend(() => body(...args)))
