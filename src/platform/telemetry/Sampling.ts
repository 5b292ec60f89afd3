import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Sampler } from "../config/TelemetrySettings.ts"

/** Digits of the trace id that decide, and how many values they have. */
const decidingDigits = 8
const values = 16 ** decidingDigits

/**
 * Whether a trace is recorded: by the last digits of its id, so that every process with the same ratio decides alike (the
 * specification's TraceIdRatioBased). With a parent-based sampler, a trace that began elsewhere keeps its decision.
 */
export const isSampled = (
  sampler: Sampler,
  traceId: string,
  remoteParent: Pick<Tracer.ExternalSpan, "sampled"> | undefined
): boolean =>
  sampler.parentBased && remoteParent !== undefined
    ? remoteParent.sampled
    : Number.parseInt(traceId.slice(-decidingDigits), 16) < sampler.ratio * values

/** Continues the trace without being exported. */
const unrecorded = (span: Tracer.Span): Tracer.Span => ({
  ...span,
  _tag: "Span",
  sampled: false,
  end: () => {},
  attribute: () => {},
  event: () => {},
  addLinks: () => {}
})

/**
 * A tracer that exports what the sampler selects; every span of a trace in this process follows the first. Traces begin with a
 * request: the work between requests would be a trace of one span a second.
 */
export const sampling = (sampler: Sampler, recording: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    context: recording.context,
    span: (name, parent, context, links, startTime, kind, options) => {
      const above = Option.getOrUndefined(parent)
      if (above?._tag === "Span" && !above.sampled) return { ...above, name, parent, kind }
      const span = recording.span(name, parent, context, links, startTime, kind, options)
      if (above?._tag === "Span") return span
      return kind === "server" && isSampled(sampler, span.traceId, above) ? span : unrecorded(span)
    }
  })
