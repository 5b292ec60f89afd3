import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import * as OwnedSession from "../store/OwnedSession.ts"

/** A caller asked to write for a source that it does not own. */
export class SourceRefused extends Schema.TaggedError<SourceRefused>()("SourceRefused", {
  source: Schema.String,
  /** The owner; null where its process writes to the database itself. */
  owner: Schema.NullOr(Schema.String),
  identity: Schema.String
}) {
  override get message(): string {
    return (
      `the audit source ${this.source} belongs to ${this.owner ?? "a process that writes into the database itself"}; ` +
      `${this.identity} may not write for it. Its owner's next start takes over what it left`
    )
  }
}

export interface SourceOwners {
  /** Succeeds if the identity owns the source. The first caller of an unknown source becomes its owner. */
  readonly check: (identity: string, source: string) => Effect.Effect<void, SourceRefused | DatabaseError>
}

/** The identity is written with the row, because any caller could use a source without an owner. */
const claimStatement = `
  insert into gatekeeper.audit_source (source, identity) values ($1, $2) on conflict (source) do nothing`

const ownerStatement = "select identity from gatekeeper.audit_source where source = $1"

const decodeOwner = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ identity: Schema.NullOr(Schema.String) })))

/** The maximum of cached owners. Owners never change, so the cache needs no expiry. */
const maximumKnown = 10_000

export const make = Effect.fnUntraced(function* (options: {
  readonly url: Redacted.Redacted
  readonly deadline: Duration.DurationInput
}) {
  const session = yield* OwnedSession.make(
    {
      url: options.url,
      applicationName: "gravitas audit sources",
      deadline: options.deadline,
      connectTimeout: Duration.min(options.deadline, "5 seconds")
    },
    () => Effect.void
  )
  const known = new Map<string, string | null>()

  const ask = (identity: string, source: string) =>
    session
      .use((connection) =>
        Effect.zipRight(
          connection.query(claimStatement, [source, identity]),
          connection.query(ownerStatement, [source])
        )
      )
      .pipe(
        Effect.flatMap(({ rows }) => Effect.orDie(decodeOwner(rows))),
        Effect.map(([{ identity: owner }]) => {
          if (known.size >= maximumKnown) known.clear()
          known.set(source, owner)
          return owner
        })
      )

  const owners: SourceOwners = {
    check: Effect.fnUntraced(function* (identity, source) {
      const kept = known.get(source)
      const owner = kept === undefined ? yield* ask(identity, source) : kept
      if (owner !== identity) return yield* new SourceRefused({ source, owner, identity })
    })
  }
  return owners
})
