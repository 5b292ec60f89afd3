import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { durabilitiesText } from "../../domain/Durability.ts"
import { inOwnFiber } from "../../platform/os/OwnFiber.ts"
import type { ShutdownReport } from "../../platform/os/ShutdownReport.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditLog } from "../AuditLog.ts"
import type { AuditLogOptions } from "../AuditSettings.ts"
import { AuditUnavailable } from "../AuditUnavailable.ts"
import type { JournalInUse, JournalUnusable } from "../journal/Journal.ts"
import type { PipelineStatus } from "../PipelineStatus.ts"
import type { AuditLedger } from "../sources/AuditLedger.ts"
import { AuditStore } from "../store/AuditStore.ts"

/** A running gatekeeper answers sooner; the ports of this process do not wait longer for an absent one. */
const firstAttempt = "2 seconds"

const unopened = (options: AuditLogOptions, problem: string): PipelineStatus => ({
  mode: durabilitiesText(options.durability),
  source: "",
  accepting: false,
  drain: "retrying",
  drain_problem: problem,
  depth: 0,
  in_journal_only: 0,
  capacity: options.queueCapacity,
  aside: 0,
  oldest_age_ms: null,
  restarts: 0,
  counters: { offered: 0, committed: 0, deadLettered: 0, refused: 0, shed: 0, passedOver: 0, notWithdrawn: 0 },
  journal: null,
  trail: null,
  adoptingCounts: null
})

/**
 * An `AuditLog` whose store is in another process, which may start later. A journal names its trail, and only the store knows
 * the trail's id. Until the store answers once, no event is accepted (`waiting`) and nothing is decided.
 */
export const layer = (
  options: AuditLogOptions
): Layer.Layer<AuditLog, JournalUnusable | JournalInUse | DatabaseError, AuditStore | AuditLedger | ShutdownReport> =>
  Layer.scoped(AuditLog, make(options))

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const store = yield* AuditStore
  const needs = yield* Effect.context<AuditStore | AuditLedger | ShutdownReport>()
  let opened: typeof AuditLog.Service | undefined
  let problem = "it has not answered yet"

  // Acquired before the fiber that opens the trail is forked, so that it closes after that fiber has ended.
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  const open = Scope.fork(scope, ExecutionStrategy.sequential).pipe(
    // A failed attempt releases its resources before the next attempt.
    Effect.flatMap((own) =>
      Layer.buildWithScope(AuditLog.layer(options), own).pipe(
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
      )
    ),
    Effect.provide(needs),
    Effect.flatMap((context) =>
      Effect.sync(() => {
        opened = Context.get(context, AuditLog)
      })
    )
  )

  const logWaiting = (reason: string) =>
    Effect.suspend(() => {
      if (reason === problem) return Effect.void
      problem = reason
      return Effect.logWarning(
        `The audit trail is kept by the gatekeeper, which does not answer yet: ${reason}. Until it does, nothing is decided here.`
      )
    })

  const known = yield* store.trail.pipe(Effect.disconnect, Effect.timeout(firstAttempt), Effect.either)
  if (Either.isRight(known)) yield* open
  else {
    yield* logWaiting(known.left.message)
    const retryForever = store.trail.pipe(
      // A failed attempt closes its scope in this fiber, which goes on to the next attempt.
      Effect.zipRight(inOwnFiber(open)),
      // A defect must not end the attempts: the process would refuse everything and log nothing.
      Effect.catchAllDefect((defect) => Effect.fail({ message: String(defect) })),
      Effect.tapError(({ message }) => logWaiting(message)),
      Effect.retry(Schedule.spaced("1 second")),
      Effect.ignore,
      Effect.zipRight(Effect.logInfo("The gatekeeper answers: the audit trail is open."))
    )
    yield* Effect.forkScoped(retryForever)
  }

  const waiting = Effect.suspend(() => Effect.fail(new AuditUnavailable({ reason: "waiting", detail: problem })))
  return AuditLog.of({
    record: (event) => Effect.suspend(() => opened?.record(event) ?? waiting),
    // An event that was not accepted needs no withdrawal.
    withdraw: (event, id, why) => Effect.suspend(() => opened?.withdraw(event, id, why) ?? Effect.void),
    accepting: Effect.suspend(() => opened?.accepting ?? Effect.succeed(false)),
    status: Effect.suspend(() => opened?.status ?? Effect.succeed(unopened(options, problem)))
  })
})
