import * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { emptyStopList, Revocation, type StopList, stopListOf } from "../domain/Stops.ts"
import { Settings } from "../platform/config/Settings.ts"
import { reasonOf } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"

/**
 * Why this process hears of no stops: no gatekeeper has been heard for `STOP_FEED_GRACE`, or this process itself was stopped, so that
 * none answers it.
 */
export type FeedProblem = "silent" | "stopped"

/** What is stopped, as this process knows it: from its own gatekeeper, else from the feed of one (StopFollower.ts). */
export class Stops extends Context.Tag("clients/Stops")<
  Stops,
  {
    /** A plain function, since every decision asks it. */
    readonly list: () => StopList
    /** The version of the policy in force; undefined until a gatekeeper has told it. */
    readonly policyVersion: () => string | undefined
    /** Emits at once, and after each change of the list or of the policy. */
    readonly changes: Stream.Stream<unknown>
    readonly feedProblem: Effect.Effect<FeedProblem | undefined>
  }
>() {}

/** For a process that follows no stops. */
export const noStops: typeof Stops.Service = {
  list: () => emptyStopList,
  policyVersion: () => undefined,
  changes: Stream.make(0),
  feedProblem: Effect.succeed(undefined)
}

const Copy = Schema.parseJson(Schema.Struct({ version: Schema.Literal(1), revocations: Schema.Array(Revocation) }))
const encodeCopy = Schema.encode(Copy)
const decodeCopy = Schema.decode(Copy)

/** The revocations that a process knows, in memory and in a copy in its home, so that a restart forgets none. */
export interface StopBook {
  readonly list: () => StopList
  /** All that is known, each once. */
  readonly all: () => ReadonlyArray<Revocation>
  /** The same in the order in which it became known here; a revocation that gets its number comes again. */
  readonly log: () => ReadonlyArray<Revocation>
  readonly policyVersion: () => string | undefined
  readonly changes: Stream.Stream<unknown>
  /** Adds what is new. A known revocation only gets its number: nothing is ever forgotten. */
  readonly add: (revocations: ReadonlyArray<Revocation>) => Effect.Effect<void>
  readonly announcePolicy: (version: string) => Effect.Effect<void>
  /** Writes the copy, if it is behind. Returns whether the home holds all that is known. */
  readonly save: Effect.Effect<boolean>
}

/** A file of the home was not read or written. */
class CopyUnusable extends Schema.TaggedError<CopyUnusable>()("CopyUnusable", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

const inHome = <A>(work: () => A) =>
  Effect.try({ try: work, catch: (cause) => new CopyUnusable({ reason: reasonOf(cause) }) })

const noRevocations: ReadonlyArray<Revocation> = []

/** The revocations in a copy; none where there is no copy, or an unreadable one. */
const readCopy = (file: string) =>
  inHome(() => PrivateFile.read(file)).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.succeed(noRevocations)
        : Effect.map(decodeCopy(text), ({ revocations }) => revocations)
    ),
    Effect.catchAll(({ message }) =>
      Effect.as(
        Effect.logError(
          `ALARM: the copy of the stops in ${file} cannot be read: ${message}. Stops that a gatekeeper accepted while PostgreSQL ` +
            "was away may be missing; the trail has them as `ghost.stop`."
        ),
        noRevocations
      )
    )
  )

/** Opens the copy `stops/<owner>.json` in the home. */
export const openStopBook = (owner: string) =>
  Effect.gen(function* () {
    const { home: given } = yield* Settings
    const path = yield* Path.Path
    const home = path.resolve(given)
    const file = path.join(home, "stops", `${owner}.json`)
    const known = new Map<string, Revocation>()
    const log: Array<Revocation> = []
    let list = emptyStopList
    let policyVersion: string | undefined
    let isSaved = true
    let problem: string | undefined
    const changed = yield* SubscriptionRef.make(0)
    const notify = SubscriptionRef.update(changed, (count) => count + 1)
    const oneWriter = yield* Effect.makeSemaphore(1)

    const add = (revocations: ReadonlyArray<Revocation>) =>
      Effect.suspend(() => {
        const fresh = revocations.filter(({ id, no }) => {
          const present = known.get(id)
          return present === undefined || (present.no === null && no !== null)
        })
        if (fresh.length === 0) return Effect.void
        for (const revocation of fresh) known.set(revocation.id, revocation)
        log.push(...fresh)
        list = stopListOf(known.values())
        isSaved = false
        return notify
      })

    const save = Effect.suspend(() => {
      if (isSaved) return Effect.succeed(true)
      isSaved = true
      return encodeCopy({ version: 1, revocations: [...known.values()] }).pipe(
        Effect.flatMap((text) =>
          inHome(() => {
            PrivateFile.ensureHome(home)
            PrivateFile.ensureDirectory(path.dirname(file))
            PrivateFile.replace(file, text)
          })
        ),
        Effect.map(() => {
          problem = undefined
          return true
        }),
        Effect.catchAll(({ message }) => {
          isSaved = false
          if (message === problem) return Effect.succeed(false)
          problem = message
          return Effect.as(Effect.logError(`The copy of the stops cannot be written to ${file}: ${message}`), false)
        })
      )
    }).pipe(Effect.uninterruptible, oneWriter.withPermits(1))

    yield* add(yield* readCopy(file))
    isSaved = true

    const book: StopBook = {
      list: () => list,
      all: () => [...known.values()],
      log: () => log,
      policyVersion: () => policyVersion,
      changes: changed.changes,
      add,
      announcePolicy: (version) =>
        Effect.suspend(() => {
          if (version === policyVersion) return Effect.void
          policyVersion = version
          return notify
        }),
      save
    }
    return book
  })
