import * as Crypto from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { type AuditId, makeUuidV7 } from "../encoding/AuditId.ts"
import { makeRow } from "../encoding/AuditRow.ts"
import { encodeEvent } from "../encoding/EventEncoding.ts"
import { incarnationStatements, registerWithin } from "../store/AuditIncarnation.ts"
import { advanceSource, beginBounded, insertTolerantly, timeoutWithin } from "../store/AuditWrites.ts"
import { makeIncarnation } from "../store/ProcessJournal.ts"
import { describe } from "../store/RetryClass.ts"
import { isSamePlace, placeOf, recordedPlace, recordPlace } from "../store/TrailPlace.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"

/** The request does not fit what the database and the home hold. Nothing was changed. */
export class CopyRefused extends Schema.TaggedError<CopyRefused>()("CopyRefused", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** The role may not change the trail's id. */
export class NotOwner extends Schema.TaggedError<NotOwner>()("NotOwner", { reason: Schema.String }) {
  override get message(): string {
    return (
      `only the owner of the table gatekeeper.audit_trail can give it another id: ${this.reason}. Set MIGRATION_DATABASE_URL to ` +
      "the role that runs the migrations"
    )
  }
}

export interface CopyRequest {
  readonly url: Redacted.Redacted
  /** The directory of the home's journals. */
  readonly directory: string
  /** The person who runs the command, for the record. */
  readonly by: string
  readonly reason: string
}

export interface TrailCopy {
  /** The id of the trail that the database holds now. */
  readonly trail: string
  /** The id before; the same where the copy replaces the original. */
  readonly formerTrail: string
  /** The event that says so. */
  readonly auditId: AuditId
}

const deadline = Duration.seconds(10)

const TrailRow = Schema.Tuple(Schema.Struct({ id: Schema.String }))

const trailOf = (connection: Connection) =>
  Effect.map(queryRows(connection, TrailRow, "select id from gatekeeper.audit_trail"), ([{ id }]) => id)

/** The trigger refuses every change, so it is off within the transaction; only the owner can do that. */
const forkStatement = `
  alter table gatekeeper.audit_trail disable trigger audit_trail_append_only;
  update gatekeeper.audit_trail set id = gen_random_uuid(), created_at = clock_timestamp();
  alter table gatekeeper.audit_trail enable always trigger audit_trail_append_only`

const eventOf = (
  kind: "fork" | "restore",
  { trail, formerTrail }: Omit<TrailCopy, "auditId">,
  { by, reason }: CopyRequest
): AuditEvent => ({
  action: `audit/${kind}`,
  resource: `audit/trails/${trail}`,
  ghostId: null,
  shellId: null,
  result: "REPORTED",
  reason:
    kind === "fork"
      ? `${by} gave this copy of the trail ${formerTrail} an id of its own: ${reason}`
      : `${by} said that this database replaces the one that held the trail: ${reason}`,
  requestId: null,
  facts: { kind, former_trail: formerTrail, by, why: reason }
})

/** Changes the trail, if `change` does, and records that, in one transaction. */
const recorded = Effect.fnUntraced(function* (
  connection: Connection,
  kind: "fork" | "restore",
  request: CopyRequest,
  change: Effect.Effect<unknown, DatabaseError>
) {
  const statementTimeout = timeoutWithin(deadline)
  const incarnation = yield* makeIncarnation("commit")
  yield* connection.query("select gatekeeper.audit_make_partitions_ahead()")
  const copy = yield* Effect.gen(function* () {
    yield* connection.query(beginBounded(statementTimeout))
    const formerTrail = yield* trailOf(connection)
    yield* change
    const trail = yield* trailOf(connection)
    const timestamp = yield* Clock.currentTimeMillis
    const id = makeUuidV7((bytes) => Crypto.randomFillSync(bytes))(timestamp)
    const event = encodeEvent(eventOf(kind, { trail, formerTrail }, request))
    const row = makeRow(event, { id, timestamp, source: incarnation.source, seq: 1 })
    yield* insertTolerantly(connection, [row], request.by)
    yield* registerWithin(connection, incarnation)
    yield* advanceSource(connection, row.source, row.seq, { committed: 1, deadLettered: 0, replayed: 0 }, [row])
    return { trail, formerTrail, auditId: row.id }
  }).pipe((body) => connection.transaction(body, { begun: true }))
  yield* incarnationStatements(connection, statementTimeout).signOffAtLastRow(incarnation)
  return copy
})

const asked = <A, E>(request: CopyRequest, work: (connection: Connection) => Effect.Effect<A, E | DatabaseError>) =>
  connect({ url: request.url, applicationName: "gravitas trail", deadline }).pipe(
    Effect.flatMap(work),
    Effect.scoped,
    Effect.catchIf(
      (error): error is DatabaseError => error instanceof Error && "_tag" in error && error._tag === "DatabaseError",
      (error): Effect.Effect<never, NotOwner | TrailUnreachable> =>
        error.sqlstate === "42501"
          ? new NotOwner({ reason: error.reason })
          : Effect.fail(new TrailUnreachable({ reason: describe(error) }))
    )
  )

/**
 * Gives the trail of a copy an id of its own, so that no home of the original writes into it. Refused where this home records into this
 * database: it is the original then.
 */
export const forkTrail = (request: CopyRequest) =>
  asked(request, (connection) =>
    Effect.gen(function* () {
      const [trail, place] = [yield* trailOf(connection), yield* placeOf(connection)]
      const known = yield* recordedPlace(request.directory, trail)
      if (known !== undefined && isSamePlace(known, place)) {
        return yield* new CopyRefused({
          problem:
            `this home has recorded into this database, so it is the original of the trail ${trail} and not a copy. Set DATABASE_URL to ` +
            "the copy; for a copy of the whole machine, set GRAVITAS_HOME to an empty directory"
        })
      }
      const copy = yield* recorded(connection, "fork", request, connection.query(forkStatement))
      yield* recordPlace(request.directory, copy.trail, place)
      return copy
    })
  )

/** Says that the database replaces the one that this home has recorded into. The home's journals are written into it at the next start. */
export const acceptRestore = (request: CopyRequest) =>
  asked(request, (connection) =>
    Effect.gen(function* () {
      const [trail, place] = [yield* trailOf(connection), yield* placeOf(connection)]
      const known = yield* recordedPlace(request.directory, trail)
      if (known === undefined || isSamePlace(known, place)) {
        const why =
          known === undefined
            ? `this home has not recorded into the trail ${trail}`
            : "it is the database that this home has recorded into"
        return yield* new CopyRefused({ problem: `there is nothing to accept: ${why}` })
      }
      const copy = yield* recorded(connection, "restore", request, Effect.void)
      yield* recordPlace(request.directory, trail, place)
      return copy
    })
  )
