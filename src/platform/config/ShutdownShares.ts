/**
 * How `SHUTDOWN_DEADLINE` is divided, in the order in which the end goes. Together they are the whole (a server's share
 * three times), so the last has its time though all before it took theirs.
 */
export const shutdownShares = {
  /** Each of three servers: finishing what is in flight. */
  server: 0.1,
  /** Writing what was recorded, signing off. */
  trail: 0.4,
  /** Closing the pools. */
  pools: 0.05,
  /** Sending the last spans, metrics and log lines. */
  telemetry: 0.05,
  /** The embedded PostgreSQL's own orderly stop. */
  postgres: 0.2
} as const
