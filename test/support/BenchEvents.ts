import type { AuditEvent } from "../../src/domain/AuditEvent.ts"

/** A decision as the gatekeeper records one. */
export const event: AuditEvent = {
  action: "execute",
  resource: "shells/l1/small-model",
  ghostId: "Librarian",
  shellId: "gemma2:27b",
  result: "ALLOWED",
  reason: "group librarian may execute shells/*",
  requestId: "0f8fad5b-d9cb-469f-a165-70867728950e",
  metadata: { complexity: 5, priority: 10, client: "bench", labels: ["a", "b"] }
}

/** About the most that an event can cost: every bound is met, and every character has to be replaced or escaped. */
export const worstEvent: AuditEvent = {
  action: "\ud800".repeat(1_000),
  resource: "\ud800".repeat(1_000),
  ghostId: "\ud800".repeat(1_000),
  shellId: "\u0001".repeat(1_000),
  result: "ALLOWED",
  reason: "\ud800".repeat(2_000),
  requestId: "\u0001".repeat(1_000),
  metadata: Object.fromEntries(
    Array.from({ length: 1_000 }, (_, index) => [
      `\u0001${(index * 7_919) % 1_000}${"\ud800".repeat(40)}`,
      "\0".repeat(20)
    ])
  )
}
