import * as Schema from "effect/Schema"

/** A stop of a ghost, a token (by its `jti`), a certificate or a session; or the resume of a ghost. */
export const Revocation = Schema.Struct({
  /** Its place in `gatekeeper.revocation`, from 1; null while no gatekeeper has written it there. */
  no: Schema.NullOr(Schema.Number),
  /** A UUID. */
  id: Schema.String,
  kind: Schema.Literal("ghost", "token", "certificate", "session"),
  subject: Schema.String,
  effect: Schema.Literal("stop", "resume"),
  /** Milliseconds since the epoch, by the clock of the gatekeeper that was asked. */
  at: Schema.Number,
  /** The ghost that asked, or the account that ran the command. */
  by: Schema.String,
  reason: Schema.NullOr(Schema.String)
})
export type Revocation = typeof Revocation.Type

/** The last stop of a ghost, and whether a resume followed it. */
interface GhostStop {
  readonly stop: Revocation
  readonly isResumed: boolean
}

/** What is stopped now. */
export interface StopList {
  readonly ghosts: ReadonlyMap<string, GhostStop>
  readonly tokens: ReadonlyMap<string, Revocation>
  readonly certificates: ReadonlyMap<string, Revocation>
  readonly sessions: ReadonlyMap<string, Revocation>
}

/** Rows of the table in their order, then those that are not written yet, in the order in which they became known. */
const inOrder = (all: Iterable<Revocation>): ReadonlyArray<Revocation> =>
  [...all].sort((one, other) => (one.no ?? Number.MAX_SAFE_INTEGER) - (other.no ?? Number.MAX_SAFE_INTEGER))

export const stopListOf = (all: Iterable<Revocation>): StopList => {
  const ghosts = new Map<string, GhostStop>()
  const others = {
    token: new Map<string, Revocation>(),
    certificate: new Map<string, Revocation>(),
    session: new Map<string, Revocation>()
  }
  for (const revocation of inOrder(all)) {
    const { effect, kind, subject } = revocation
    if (kind !== "ghost") {
      others[kind].set(subject, revocation)
      continue
    }
    const before = ghosts.get(subject)
    if (effect === "resume") {
      if (before !== undefined) ghosts.set(subject, { ...before, isResumed: true })
    } else {
      // A stop that is written late must not shorten an earlier one.
      const stop = before !== undefined && before.stop.at > revocation.at ? before.stop : revocation
      ghosts.set(subject, { stop, isResumed: false })
    }
  }
  return { ghosts, tokens: others.token, certificates: others.certificate, sessions: others.session }
}

export const emptyStopList: StopList = stopListOf([])

/** Something that was issued to a ghost: a token, a certificate, or a session that was started. */
export interface Credential {
  readonly id: string | undefined
  /** Milliseconds since the epoch; undefined where nothing says when. */
  readonly issuedAt: number | undefined
}

/**
 * A token as stops see it. One that was made for another, by an exchange or by `POST /tokens`, ends with that one too, and with the ghosts
 * and services that asked for it.
 */
export interface TokenCredential extends Credential {
  /** The `jti` of each token that it came from, the last one first. `issuedAt` of an exchanged token is that of the first exchanged one. */
  readonly originIds?: ReadonlyArray<string> | undefined
  /** The services that act for the ghost, and since when. */
  readonly acting?: { readonly actors: ReadonlyArray<string>; readonly issuedAt: number } | undefined
}

/**
 * Returns the stop of a ghost that covers a credential. A stopped ghost has no valid credential. After a resume those are valid that
 * were issued after the stop; `tolerance` is how far the issuer's clock may be from the gatekeeper's, in milliseconds.
 */
export const ghostStop = (
  { ghosts }: StopList,
  ghostId: string,
  issuedAt?: number,
  tolerance = 0
): Revocation | undefined => {
  const found = ghosts.get(ghostId)
  if (found === undefined) return undefined
  const isEarlier = issuedAt !== undefined && issuedAt <= found.stop.at + tolerance
  return !found.isResumed || isEarlier ? found.stop : undefined
}

/** Returns the stop that covers a credential of a ghost: its own, or the ghost's. */
const stopOf =
  (own: "tokens" | "certificates" | "sessions") =>
  (list: StopList, ghostId: string, { id, issuedAt }: Credential, tolerance = 0): Revocation | undefined =>
    ghostStop(list, ghostId, issuedAt, tolerance) ?? (id === undefined ? undefined : list[own].get(id))

const ownTokenStop = stopOf("tokens")

export const tokenStop = (
  list: StopList,
  ghostId: string,
  token: TokenCredential,
  tolerance: number
): Revocation | undefined => {
  const own = ownTokenStop(list, ghostId, token, tolerance)
  if (own !== undefined) return own
  for (const id of token.originIds ?? []) {
    const ofOrigin = list.tokens.get(id)
    if (ofOrigin !== undefined) return ofOrigin
  }
  if (token.acting === undefined) return undefined
  for (const actor of token.acting.actors) {
    const ofActor = ghostStop(list, actor, token.acting.issuedAt, tolerance)
    if (ofActor !== undefined) return ofActor
  }
  return undefined
}

export const certificateStop = stopOf("certificates")

/** A session's name is its agent's own. A stop names `<agent>/<session_id>`, or a name alone: that of every agent. */
export const sessionStop = (list: StopList, agent: string, session: Credential): Revocation | undefined =>
  // A name may hold "/", and is then not what another agent's stop names.
  stopOf("sessions")(list, agent, session.id?.includes("/") === true ? { ...session, id: undefined } : session) ??
  list.sessions.get(`${agent}/${session.id}`)

/** `the ghost "Scout" was stopped at 2026-01-31T12:00:00.000Z`. The caller sees it, so it does not say why. */
export const describeStop = ({ at, kind, subject }: Revocation): string =>
  `the ${kind} ${JSON.stringify(subject)} was stopped at ${new Date(at).toISOString()}`
