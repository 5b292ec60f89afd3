import * as FileSystem from "@effect/platform/FileSystem"
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
import type { FileProblem } from "../../domain/FileProblem.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { turn } from "../../platform/os/EventLoop.ts"
import { markAnonymous } from "../tokens/Anonymous.ts"
import type { Policy } from "./Policy.ts"
import { type PolicyRefused, parseInTurns, readPolicyFile, versionOf } from "./PolicyFile.ts"
import { indexPolicy, type PolicyIndex } from "./PolicyIndex.ts"

interface Understood {
  readonly policy: Policy
  readonly index: PolicyIndex
}

/** A policy that decides, from when on. */
export interface InForce extends Understood {
  readonly loadedAt: DateTime.Utc
}

/** A file that was read and did not come into force. */
export interface RefusedReload {
  readonly at: DateTime.Utc
  readonly problems: ReadonlyArray<FileProblem>
}

export interface Reloaded {
  readonly before: string
  readonly after: string
}

/** Who asked for a reload; null where the file changed by itself. */
export interface ReloadAsker {
  readonly ghostId: string
  readonly requestId: string
}

/** How often the file is looked at. It is read when two looks see the same change, so that nobody's half-written file is. */
const lookInterval = Duration.millis(500)

/** The policy that decides now: the last good one of its file. */
export class PolicyInForce extends Context.Tag("gatekeeper/PolicyInForce")<
  PolicyInForce,
  {
    /** One reading is one policy, whatever happens to the file meanwhile. */
    readonly current: Effect.Effect<InForce>
    /** Null when the file and `current` agree. */
    readonly refused: Effect.Effect<RefusedReload | null>
    /** Reads the file again, and records that before what it says comes into force. A refused one leaves `current` as it is. */
    readonly reload: (asker: ReloadAsker) => Effect.Effect<Reloaded, PolicyRefused | AuditUnavailable>
  }
>() {
  static readonly layer = Layer.scoped(
    PolicyInForce,
    Effect.gen(function* () {
      const { accessPolicyPath: file } = yield* Settings
      const files = yield* FileSystem.FileSystem
      const trail = yield* AuditLog
      const oneReload = yield* Effect.makeSemaphore(1)
      const refused = yield* Ref.make<RefusedReload | null>(null)

      const record = (result: "ALLOWED" | "INVALID", reason: string, asker: ReloadAsker | null) =>
        trail.record(
          markAnonymous({
            action: "policy.reload",
            resource: "policy",
            ghostId: asker?.ghostId ?? null,
            shellId: null,
            result,
            reason,
            requestId: asker?.requestId ?? null,
            metadata: {}
          })
        )

      /** Follows links, so that a ConfigMap's swapped link is another file; null while there is none. */
      const look = files.stat(file).pipe(
        Effect.map(({ ino, mtime, size }) => JSON.stringify([ino, mtime, String(size)])),
        Effect.orElseSucceed(() => null)
      )

      const understand = (text: string): Effect.Effect<Understood, PolicyRefused> =>
        Effect.flatMap(parseInTurns(text, file), (policy) =>
          Effect.map(turn, () => ({ policy, index: indexPolicy(policy) }))
        )
      /** A text is understood once, however often it is read: while the trail takes no record of it, that is twice a second. */
      let last: { readonly version: string; readonly understood: Either.Either<Understood, PolicyRefused> } | undefined
      const read = Effect.gen(function* () {
        const text = yield* readPolicyFile(file)
        const version = versionOf(text)
        if (last?.version !== version) last = { version, understood: yield* Effect.either(understand(text)) }
        return yield* last.understood
      }).pipe(Effect.provideService(FileSystem.FileSystem, files))

      const put = (understood: Understood): Effect.Effect<InForce> =>
        Effect.map(DateTime.now, (loadedAt) => ({ ...understood, loadedAt }))

      /** The look before the last reading. */
      let seen = yield* look
      const current = yield* Ref.make(yield* Effect.flatMap(read, put))

      const reload = (asker: ReloadAsker | null) =>
        Effect.gen(function* () {
          const now = yield* look
          const before = (yield* Ref.get(current)).policy.version
          const understood = yield* Effect.either(read)
          if (Either.isLeft(understood)) {
            const { problems } = understood.left
            const first = problems[0]
            const where = first === undefined ? "" : `, the first in line ${first.line}, column ${first.column}`
            const count = `${problems.length} problem${problems.length === 1 ? "" : "s"}`
            yield* record("INVALID", `policy ${before} stays: the file has ${count}${where}`, asker)
            yield* Ref.set(refused, { at: yield* DateTime.now, problems })
            seen = now
            yield* Effect.logError(`Policy ${before} stays in force. ${understood.left.message}`)
            return yield* understood.left
          }
          const after = understood.right.policy.version
          if (after !== before || asker !== null) {
            yield* record(
              "ALLOWED",
              after === before ? `policy ${before} stays` : `policy ${before} -> ${after}`,
              asker
            )
          }
          yield* Ref.set(refused, null)
          seen = now
          if (after !== before) {
            yield* Ref.set(current, yield* put(understood.right))
            yield* Effect.logInfo(`Policy ${after} is in force; before it ${before}.`)
          }
          return { before, after }
          // A caller that hangs up leaves no policy recorded that did not come into force.
        }).pipe(Effect.uninterruptible, oneReload.withPermits(1))

      let pending: string | null | undefined
      const follow = Effect.gen(function* () {
        const now = yield* look
        if (now === seen) {
          pending = undefined
          return
        }
        if (now !== pending) {
          pending = now
          return
        }
        // Tried again at the next look while the trail takes nothing: no policy comes into force without its record.
        yield* reload(null).pipe(Effect.catchTag("PolicyRefused", () => Effect.void))
      }).pipe(
        Effect.catchTag("AuditUnavailable", () => Effect.void),
        Effect.sandbox,
        Effect.catchAll((cause) => Effect.logError("The policy file could not be looked at", cause))
      )
      yield* Effect.forkScoped(Effect.repeat(follow, Schedule.spaced(lookInterval)))

      return { current: Ref.get(current), refused: Ref.get(refused), reload }
    })
  )
}
