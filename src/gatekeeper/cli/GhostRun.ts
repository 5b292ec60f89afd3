import { randomUUID } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { Revocation } from "../../domain/Stops.ts"
import { type CommandError, type OutputFlags, runCommand } from "../../platform/cli/CommandRunner.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { gatekeeperSchema } from "../GatekeeperSchema.ts"
import { writeRevocation } from "../stops/StopRegister.ts"

interface GhostRequest extends OutputFlags {
  readonly ghost: string
  readonly effect: "stop" | "resume"
  readonly reason: Option.Option<string>
  /** The account that runs the command. */
  readonly by: string
}

/** Writes to the table, where every gatekeeper finds it within a second. */
const enter = Effect.fnUntraced(function* ({ by, effect, ghost: subject, reason }: GhostRequest) {
  const trail = yield* AuditLog
  const database = yield* Database
  const revocation: Revocation = {
    no: null,
    id: randomUUID(),
    kind: "ghost",
    subject,
    effect,
    at: yield* Clock.currentTimeMillis,
    by,
    reason: Option.getOrNull(reason)
  }
  const event = {
    action: `ghost.${effect}`,
    resource: `ghosts/${subject}`,
    ghostId: null,
    shellId: null,
    result: "ALLOWED",
    reason: revocation.reason,
    requestId: null,
    metadata: { ghost_id: subject, by }
  } as const
  const id = yield* trail.record(event)
  yield* writeRevocation(database.pool("gatekeeper"), revocation).pipe(
    Effect.onError(() => trail.withdraw(event, id, "the table did not accept it"))
  )
  return revocation
}, Effect.uninterruptible)

/** Runs `ghost stop` and `ghost resume`: migrates the schema as the service does, and records what was done in `trail`. */
export const runGhost = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>,
  given: GhostRequest
) =>
  runCommand({
    ...given,
    command: `ghost ${given.effect}`,
    work: enter(given).pipe(
      Effect.provide(Layer.provideMerge(trail, gatekeeperSchema.layer)),
      Effect.provide(database)
    ),
    render: ({ effect, subject }) =>
      effect === "stop"
        ? `${subject} is stopped, everywhere within 5 seconds.`
        : `${subject} is resumed. It needs a new token and a new certificate.`,
    toJson: ({ at, effect, id, reason, subject }) => ({
      id,
      ghost_id: subject,
      effect,
      at: new Date(at).toISOString(),
      reason
    })
  })
