import * as Schema from "effect/Schema"

/** What an answer waits for before it is sent, as PostgreSQL's `synchronous_commit` is for a transaction. */
export const Durability = Schema.Literal(
  "memory", // nothing; lost with the process
  "journal", // appended to a local file; survives the process
  "fsync", // that file is on the disk; survives the machine
  "commit" // the row is in PostgreSQL
)
export type Durability = typeof Durability.Type

/** The results that may have a durability of their own: those of requests, whose callers wait. */
export const AnsweredResult = Schema.Literal("ALLOWED", "DENIED", "UNAUTHENTICATED", "INVALID")
export type AnsweredResult = typeof AnsweredResult.Type

/** The durability of events by the outcome of their request. */
export interface Durabilities {
  readonly default: Durability
  readonly byResult: Partial<Readonly<Record<AnsweredResult, Durability>>>
}

/**
 * Whether events go through a journal. If those of one result do, all do: the order is one, and `memory` would save only a few
 * microseconds.
 */
export const isJournaled = ({ byResult, default: common }: Durabilities): boolean =>
  [common, ...Object.values(byResult)].some((one) => one !== "memory")

/** `journal`, or `journal DENIED=fsync`. */
export const durabilitiesText = ({ byResult, default: common }: Durabilities): string =>
  [common, ...Object.entries(byResult).map(([result, durability]) => `${result}=${durability}`)].join(" ")
