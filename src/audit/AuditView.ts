import type { AuditStatus } from "./AuditStatus.ts"

/** The trail's part of `/health`, `/readyz` and `/audit/pipeline`. */
export const auditView = (now: AuditStatus) => ({
  mode: now.mode,
  source: now.source,
  accepting: now.accepting,
  drain: now.drain._tag,
  drain_problem: "reason" in now.drain ? now.drain.reason : null,
  depth: now.depth,
  in_journal_only: now.beyond,
  capacity: now.capacity,
  aside: now.aside,
  oldest_age_ms: now.oldestPendingMillis,
  restarts: now.restarts,
  counters: { ...now.counters },
  journal:
    now.journal === null
      ? null
      : {
          path: now.journal.path,
          bytes: now.journal.bytes,
          max_bytes: now.journal.maxBytes,
          segments: now.journal.segments,
          problem: now.journal.problem === null ? null : now.journal.problem.detail,
          read_problem: now.journal.readProblem === null ? null : now.journal.readProblem.detail,
          quarantined: now.journal.quarantined,
          others: {
            alive: now.journal.others.alive,
            adopted: now.journal.others.adopted,
            foreign: now.journal.others.foreign,
            stuck: now.journal.others.stuck,
            adopting:
              now.journal.others.adopting === null
                ? null
                : {
                    source: now.journal.others.adopting.source,
                    pending: now.journal.others.adopting.pending,
                    read_problem: now.journal.others.adopting.readProblem?.detail ?? null
                  }
          }
        }
})
