import * as Schema from "effect/Schema"

/** What the generator of streams is told to send. All requests are equal. */
export const StreamOrder = Schema.Struct({
  /** With its path. */
  url: Schema.String,
  headers: Schema.Record({ key: Schema.String, value: Schema.String }),
  body: Schema.String,
  /** Texts that every answer must have; its status must be 200. */
  expected: Schema.Array(Schema.String),
  /** At once: each begins its next request when its answer has ended. */
  streams: Schema.Number,
  /** No request begins later; null where `requests` ends the order. */
  millis: Schema.NullOr(Schema.Number),
  /** In all; null where `millis` ends the order. */
  requests: Schema.NullOr(Schema.Number)
})
export type StreamOrder = typeof StreamOrder.Type

/** A sample each answer, in microseconds since its request was written. */
export const StreamResult = Schema.Struct({
  firstByte: Schema.Array(Schema.Number),
  whole: Schema.Array(Schema.Number),
  perSecond: Schema.Number,
  /** Share of the time in which the generator's event loop waited. Near 0, the generator would be what is measured. */
  idleShare: Schema.Number
})
export type StreamResult = typeof StreamResult.Type
