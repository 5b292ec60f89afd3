import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { withExportedReversal } from "../apply/DataStep.ts"
import { openSchema } from "../apply/Migrate.ts"
import { RevisionFailed } from "../apply/RevisionFailed.ts"
import { lockSchema } from "../apply/SchemaLock.ts"
import { readScript, runVerify, type StatementFailed } from "../apply/Script.ts"
import { withoutSecrets } from "../apply/Secrets.ts"
import { type Revision, revisionName } from "../files/Revision.ts"
import { headOf, type MigratedService, type RevisionSet } from "../files/RevisionSet.ts"
import { halfwayOf, partlyApplied, rowMismatch } from "../plan/HistoryMismatch.ts"
import * as Plan from "../plan/Plan.ts"
import { type RevisionUnknown, unknownRevision } from "../plan/PlanRefusal.ts"
import type { Target } from "../plan/Target.ts"
import { differencesFrom, StampDiffers, withoutRefusal } from "./StampComparison.ts"

/** The history is already past the target of the stamp. */
export class StampRefused extends Schema.TaggedError<StampRefused>()("StampRefused", {
  service: ServiceName,
  target: Schema.String,
  current: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: the history is at ${this.current}, past ${this.target}; nothing was stamped. ` +
      `To go back there: pnpm migrate --service ${this.service} downgrade ${this.target}`
    )
  }
}

/** The schema is empty, so there is nothing to adopt; a stamp would only keep `upgrade` from creating its tables. */
export class SchemaEmpty extends Schema.TaggedError<SchemaEmpty>()("SchemaEmpty", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    return (
      `${this.service}: the schema ${this.service} at ${this.address} has no table or view of its own, so there is nothing to ` +
      `adopt; nothing was stamped. To create what the revisions describe: pnpm migrate --service ${this.service} upgrade`
    )
  }
}

/** Selects the service's relations, without the history's own tables and view. */
const ownRelations = (service: ServiceName) =>
  `select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = '${service}' and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and c.relname not in ('schema_history', 'schema_event', 'schema_version') limit 1`

interface StampOptions {
  /** Whether a schema is stamped that is not what the revisions make. */
  readonly acceptDifferences?: boolean
}

/** A revision, by number or full name, or `head`. */
export type StampTarget = Target & { readonly _tag: "Head" | "UpTo" }

/** The revision that a target names. */
const goalOf = (set: RevisionSet, target: StampTarget): Effect.Effect<Revision, RevisionUnknown> => {
  const number = target._tag === "Head" ? headOf(set).number : target.number
  const goal = set.revisions[number - 1]
  const slug = target._tag === "UpTo" && target.slug !== null ? target.slug : goal?.slug
  return goal === undefined || goal.slug !== slug
    ? unknownRevision(set, { number, slug: slug ?? null })
    : Effect.succeed(goal)
}

/** An assertion of a revision does not hold, so nothing is stamped. */
const stampFailed =
  (service: ServiceName, to: string) =>
  ({ cause, direction, location }: StatementFailed) =>
    Effect.flatMap(
      withoutSecrets({ cause, location }),
      (shown) =>
        new RevisionFailed({
          service,
          revision: to,
          direction,
          ...shown,
          attempts: 1,
          blockers: [],
          notices: [],
          outcome: `The database is not in the state after ${to}, so nothing was stamped`
        })
    )

/**
 * Adopts a database that already has the tables: records every revision up to the target as applied and runs none of them. It
 * checks the existing history, that the schema is not empty, the `migrate:verify` of each recorded revision, read-only, and that the
 * schema is what the revisions make in a scratch database. With `acceptDifferences` the last of these is only recorded. It also
 * restores a row that was removed from the history by hand. A refusal leaves nothing behind.
 */
export const stamp = Effect.fn("Migrator.stamp")(function* (
  migrated: MigratedService,
  target: StampTarget,
  reason: string,
  { acceptDifferences = false }: StampOptions = {}
) {
  const service = migrated.name
  const { entries, history, lock, prepare, session, set } = yield* lockSchema(yield* openSchema(migrated), true)
  const { connection } = session
  const wrong = rowMismatch(set, entries)
  if (wrong !== undefined) return yield* wrong
  const half = halfwayOf(entries)
  if (half !== undefined) return yield* partlyApplied(service, half, "close it first")
  const current = Plan.currentOf(entries)
  const { number, slug } = yield* goalOf(set, target)
  const to = revisionName(number, slug)
  // A gap below the current revision can be filled; the history is then past the target, and stays there.
  const applied = new Set(entries.map(({ revision }) => revision))
  const lacking = set.revisions.slice(0, number).filter((revision) => !applied.has(revision.number))
  if (current.number > number && lacking.length === 0) {
    return yield* new StampRefused({ service, target: to, current: current.name })
  }
  const revisions = yield* Effect.forEach(lacking, withExportedReversal)

  // A program that knows less than the database cannot make the same schema.
  const isComparable = revisions.length > 0 && current.number <= set.revisions.length
  const described = isComparable ? set.revisions.slice(0, Math.max(number, current.number)) : []
  const differences = differencesFrom(migrated, session, described)

  const work = Effect.gen(function* () {
    if (revisions.length > 0 && (yield* connection.query(ownRelations(service))).rowCount === 0) {
      return yield* new SchemaEmpty({ service, address: session.address })
    }
    yield* prepare
    const { rows } = yield* connection.query("select pg_catalog.clock_timestamp()::text as now")
    for (const revision of revisions) yield* history.insert(revision, "applied", 0, String(rows[0]?.["now"]))
    for (const { file, verify } of revisions) {
      if (Option.isSome(verify)) yield* runVerify(connection, yield* readScript(file, verify.value, "verify"))
    }
    const found = yield* acceptDifferences ? withoutRefusal(differences) : differences
    if (found.length > 0 && !acceptDifferences) {
      return yield* new StampDiffers({ service, target: to, address: session.address, differences: found })
    }
    const details = found.length === 0 ? null : { differences: found }
    for (const revision of revisions) {
      yield* history.event("stamped", { revision: revision.number, slug: revision.slug }, reason, details)
    }
    return found
  })
  const accepted = yield* lock
    .transaction(() => work)
    .pipe(
      Effect.catchTags({
        DatabaseError: session.refuse("stamping"),
        StatementFailed: stampFailed(service, to)
      })
    )
  return {
    service,
    from: current.name,
    to: current.number > number ? current.name : to,
    /** The revisions that were recorded as applied without running. */
    revisions: revisions.map((revision) => revisionName(revision.number, revision.slug)),
    /** How the schema differs from what the revisions make; empty unless differences are accepted. */
    differences: accepted
  }
}, Effect.scoped)

export type StampOutcome = Effect.Effect.Success<ReturnType<typeof stamp>>
