import type * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import type { FileProblem } from "../../domain/Text.ts"
import { lookAlikes, lookAlikesText } from "../../platform/config/LookAlikes.ts"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"
import { markAnonymous } from "../tokens/BearerToken.ts"
import type { Policy } from "./Policy.ts"
import { type PolicyRefused, parsePolicy, readPolicyFile, versionOf } from "./PolicyFile.ts"
import { indexPolicy, type PolicyIndex } from "./PolicyIndex.ts"

interface IndexedPolicy {
  readonly policy: Policy
  readonly index: PolicyIndex
}

/** A policy with its index, and when it came into force. */
export interface PolicySnapshot extends IndexedPolicy {
  readonly loadedAt: DateTime.Utc
}

export interface RefusedReload {
  readonly at: DateTime.Utc
  readonly problems: ReadonlyArray<FileProblem>
}

/** The caller that asked for a reload. A reload after a change of the file has none. */
export interface ReloadRequester {
  readonly ghostId: string
  readonly requestId: string
}

/** How often the file is read. It is used when two checks see the same change, so that it is not half written. */
const checkInterval = Duration.millis(500)

const countOf = (problems: ReadonlyArray<FileProblem>): string => {
  const [first] = problems
  const where = first === undefined ? "" : `, the first in line ${first.line}, column ${first.column}`
  return `${problems.length} problem${problems.length === 1 ? "" : "s"}${where}`
}

/** Such names are marked and not refused: an operator decides whether one of them is a forgery. */
const warnOfLookAlikes = ({ ghostMappings, version }: Policy) =>
  Effect.flatMap(lookAlikes(ghostMappings.keys()), (groups) =>
    groups.length === 0
      ? Effect.void
      : Effect.logWarning(`Policy ${version}: names of ghosts that look alike: ${lookAlikesText(groups)}`)
  )

/** Reads the policy file: the version of its text, or why it cannot be read; and its policy. */
const fileReader = (file: string) =>
  Effect.map(Effect.context<FileSystem.FileSystem>(), (context) => {
    const text = Effect.provide(readPolicyFile(file), context)
    // By content: a copy may keep size and time, and Kubernetes swaps a link on the way.
    const status = Effect.match(text, { onFailure: ({ message }) => message, onSuccess: versionOf })

    const parse = (text: string): Effect.Effect<IndexedPolicy, PolicyRefused> =>
      parsePolicy(text, file).pipe(
        Effect.tap(warnOfLookAlikes),
        Effect.flatMap((policy) => Effect.map(yieldNow, () => ({ policy, index: indexPolicy(policy) })))
      )
    /** The last text is parsed once. While the trail does not accept its record, the file is read twice a second. */
    let last: { readonly version: string; readonly parsed: Either.Either<IndexedPolicy, PolicyRefused> } | undefined
    const read = Effect.gen(function* () {
      const source = yield* text
      const version = versionOf(source)
      if (last?.version !== version) last = { version, parsed: yield* Effect.either(parse(source)) }
      return yield* last.parsed
    })
    return { status, read }
  })

/** The policy that decides now: the last valid version of its file. */
export class PolicyInForce extends Context.Tag("gatekeeper/PolicyInForce")<
  PolicyInForce,
  {
    /** Decisions of one request use one snapshot, also where the file changes in between. */
    readonly current: Effect.Effect<PolicySnapshot>
    /** The same, without a fiber. */
    readonly now: () => PolicySnapshot
    /** The last refused version of the file; null when the file and `current` agree. */
    readonly refused: Effect.Effect<RefusedReload | null>
    /** Reads the file again. The reload is recorded before the new policy decides. A refused file does not change `current`. */
    readonly reload: (
      requester: ReloadRequester
    ) => Effect.Effect<{ readonly before: string; readonly after: string }, PolicyRefused | AuditUnavailable>
  }
>() {
  static readonly layer = Layer.scoped(
    PolicyInForce,
    Effect.gen(function* () {
      const { accessPolicyPath: file } = yield* GatekeeperSettings
      const { read, status } = yield* fileReader(file)
      const trail = yield* AuditLog
      const oneReload = yield* Effect.makeSemaphore(1)
      const refused = yield* Ref.make<RefusedReload | null>(null)

      const record = (result: "ALLOWED" | "INVALID", reason: string, requester: ReloadRequester | null) =>
        trail.record(
          markAnonymous({
            action: "policy.reload",
            resource: "policy",
            ghostId: requester?.ghostId ?? null,
            shellId: null,
            result,
            reason,
            requestId: requester?.requestId ?? null
          })
        )

      const snapshotOf = (indexed: IndexedPolicy): Effect.Effect<PolicySnapshot> =>
        Effect.map(DateTime.now, (loadedAt) => ({ ...indexed, loadedAt }))

      /** The version of the file before it was last used. */
      let seen = yield* status
      let current = yield* Effect.flatMap(read, snapshotOf)

      const reload = (requester: ReloadRequester | null) =>
        Effect.gen(function* () {
          const now = yield* status
          const before = current.policy.version
          const parsed = yield* Effect.either(read)
          if (Either.isLeft(parsed)) {
            const { problems } = parsed.left
            yield* record("INVALID", `policy ${before} stays: the file has ${countOf(problems)}`, requester)
            yield* Ref.set(refused, { at: yield* DateTime.now, problems })
            seen = now
            yield* Effect.logError(`Policy ${before} stays in force. ${parsed.left.message}`)
            return yield* parsed.left
          }
          const after = parsed.right.policy.version
          if (after !== before || requester !== null) {
            const reason = after === before ? `policy ${before} stays` : `policy ${before} -> ${after}`
            yield* record("ALLOWED", reason, requester)
          }
          yield* Ref.set(refused, null)
          seen = now
          if (after !== before) {
            current = yield* snapshotOf(parsed.right)
            yield* Effect.logInfo(`Policy ${after} is in force; before it ${before}.`)
          }
          return { before, after }
          // A caller that leaves cannot separate the record of a policy from its coming into force.
        }).pipe(Effect.uninterruptible, oneReload.withPermits(1))

      let pending: string | undefined
      const follow = Effect.gen(function* () {
        const now = yield* status
        const isStable = now === pending
        pending = now === seen ? undefined : now
        if (pending === undefined || !isStable) return
        // Retried at the next check while the trail accepts no events: no policy comes into force without its record.
        yield* reload(null).pipe(Effect.catchTag("PolicyRefused", () => Effect.void))
      }).pipe(
        Effect.catchTag("AuditUnavailable", () => Effect.void),
        Effect.sandbox,
        Effect.catchAll((cause) => Effect.logError("The policy file could not be checked", cause))
      )
      yield* Effect.forkScoped(Effect.repeat(follow, Schedule.spaced(checkInterval)))

      return { current: Effect.sync(() => current), now: () => current, refused: Ref.get(refused), reload }
    })
  )
}
