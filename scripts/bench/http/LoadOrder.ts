import * as Schema from "effect/Schema"

const Latency = Schema.Struct({ p50: Schema.Number, p99: Schema.Number, p999: Schema.Number })

/** What the load generator is told to send. All requests are equal. */
export const LoadOrder = Schema.Struct({
  /** With its path. */
  url: Schema.String,
  token: Schema.String,
  body: Schema.String,
  /** Texts that every answer must have; its status must be 200. */
  expected: Schema.Array(Schema.String),
  /** DecisionStore alive, each with one request at a time. */
  connections: Schema.Number,
  millis: Schema.Number,
  /** Null is a closed loop: each connection sends its next request once it has an answer. */
  requestsPerSecond: Schema.NullOr(Schema.Number),
  /** The server is killed meanwhile: a lost connection ends the load, and the ids of all answers are returned. */
  isKilled: Schema.Boolean
})
export type LoadOrder = typeof LoadOrder.Type

/** What came of it. Latencies are in microseconds; those of an open loop count from the time at which a request was due. */
export const LoadResult = Schema.Struct({
  /** Answers, those of the first tenth included, which `perSecond` and `latency` leave out. */
  requests: Schema.Number,
  perSecond: Schema.Number,
  latency: Latency,
  /** Share of the time in which the generator's event loop waited. Near 0, the generator would be what is measured. */
  idleShare: Schema.Number,
  /** How late the generator noticed that a request was due; zeros in a closed loop. */
  lateness: Latency,
  auditIds: Schema.Array(Schema.String)
})
export type LoadResult = typeof LoadResult.Type
