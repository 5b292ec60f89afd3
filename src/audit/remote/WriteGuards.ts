import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { mayActFor, serviceIdentity, servicesOf } from "../../domain/Service.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import * as OwnedSession from "../store/OwnedSession.ts"

/** A caller asked to write for a source that it does not own. */
export class SourceRefused extends Schema.TaggedError<SourceRefused>()("SourceRefused", {
  source: Schema.String,
  /** The owner; null where its process writes to the database itself. */
  owner: Schema.NullOr(Schema.String),
  identity: Schema.String
}) {
  override get message(): string {
    if (servicesOf(this.identity).length === 0) {
      return (
        `${this.identity} is not a service, so it writes for no audit source; the ghost of a service is called ` +
        `${serviceIdentity(["guardian"])}, ${serviceIdentity(["router"])} or ${serviceIdentity(["guardian", "router"])}`
      )
    }
    return (
      `the audit source ${this.source} belongs to ${this.owner ?? "a process that writes into the database itself"}; ` +
      `${this.identity} may not write for it. Its owner's next start takes over what it left`
    )
  }
}

/** The identity is written with the row, because any caller could use a source without an owner. */
const claimStatement = `
  insert into gatekeeper.audit_source (source, identity) values ($1, $2) on conflict (source) do nothing`

const ownerStatement = "select identity from gatekeeper.audit_source where source = $1"

const decodeOwner = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ identity: Schema.NullOr(Schema.String) })))

/** The maximum of cached owners. Owners never change, so the cache needs no expiry. */
const maximumKnown = 10_000

export const makeSourceOwners = Effect.fnUntraced(function* (options: {
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

  return {
    /** Succeeds if the identity may act for the source's owner. The first caller of an unknown source becomes its owner. */
    check: Effect.fnUntraced(function* (identity: string, source: string) {
      if (servicesOf(identity).length === 0) return yield* new SourceRefused({ source, owner: null, identity })
      const kept = known.get(source)
      const owner = kept === undefined ? yield* ask(identity, source) : kept
      if (owner === null || !mayActFor(identity, owner)) return yield* new SourceRefused({ source, owner, identity })
    })
  }
})

export type SourceOwners = Effect.Effect.Success<ReturnType<typeof makeSourceOwners>>

interface WriterState {
  running: number
  /** Milliseconds since the epoch. */
  retiredAt: number | undefined
  readonly ended: Deferred.Deferred<void>
}

/** No request is in transit for so long. */
const remembered = Duration.toMillis("1 hour")

const gaveUp = new DatabaseError({
  phase: "connect",
  reason: "this writer has given up; its requests are not written any more"
})

/** The stores that write over HTTP. After a store has given up, none of its requests in transit may be written. */
export const makeWriters = () => {
  const states = new Map<string, WriterState>()

  const stateOf = (writer: string): WriterState => {
    const known = states.get(writer)
    if (known !== undefined) return known
    const made: WriterState = { running: 0, retiredAt: undefined, ended: Deferred.unsafeMake(FiberId.none) }
    states.set(writer, made)
    return made
  }

  const leave = (writer: string, state: WriterState) =>
    Effect.suspend(() => {
      state.running -= 1
      if (state.running > 0) return Effect.void
      if (state.retiredAt === undefined) states.delete(writer)
      return Effect.asVoid(Deferred.succeed(state.ended, undefined))
    })

  const prune = (now: number) => {
    for (const [writer, { retiredAt, running }] of states) {
      if (running === 0 && retiredAt !== undefined && now - retiredAt > remembered) states.delete(writer)
    }
  }

  return {
    /** Runs a write. Fails at once when the writer has given up. */
    write: <A, E, R>(writer: string, work: Effect.Effect<A, E, R>) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const state = stateOf(writer)
          if (state.retiredAt !== undefined) return Effect.fail(gaveUp)
          state.running += 1
          return Effect.succeed(state)
        }),
        () => work,
        (state) => leave(writer, state)
      ),
    /** Refuses further writes of the writer, and waits until its running writes have ended. */
    retire: (writer: string) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        prune(now)
        const state = stateOf(writer)
        state.retiredAt ??= now
        return state.running === 0 ? Effect.void : Deferred.await(state.ended)
      })
  }
}
