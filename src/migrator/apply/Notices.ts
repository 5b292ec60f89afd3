import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { ServerNotice } from "../../platform/postgres/ServerNotice.ts"
import type { Statement } from "../files/Statements.ts"
import { locationOf, type RevisionNotice } from "./RevisionFailed.ts"

/** Receives a notice, with the statement that raised it; null for COMMIT. */
export type NoticeOf = (statement: Statement | null, notice: ServerNotice) => void

/** How many notices of a run are kept and logged: a loop may raise one for each row. */
const maximum = 1_000

const shown = ({ detail, file, hint, line, message, severity }: RevisionNotice): string =>
  `${file}:${line}: ${severity}: ${message}` +
  `${detail === undefined ? "" : `; ${detail}`}${hint === undefined ? "" : `; hint: ${hint}`}`

/** The notices of a run, in order. `keep` returns false once there are too many. */
export interface NoticeLog {
  readonly all: () => ReadonlyArray<RevisionNotice>
  readonly keep: (notice: RevisionNotice) => boolean
}

export const makeNoticeLog = (): NoticeLog => {
  const kept: Array<RevisionNotice> = []
  return {
    all: () => kept,
    keep: (notice) => kept.length < maximum && kept.push(notice) > 0
  }
}

interface NoticeOptions {
  readonly log: NoticeLog
  /** Whether more than warnings are logged. */
  readonly verbose: boolean
  readonly revision: string
  readonly direction: "up" | "down"
  readonly file: string
  /** The line of the section, for notices of COMMIT. */
  readonly line: number
}

/**
 * Runs `work`, which passes on notices as the server sends them: each is kept and logged at once. Warnings are always logged, others
 * as information if `verbose`.
 */
export const withNotices = <A, E, R>(
  { direction, file, line, log, revision, verbose }: NoticeOptions,
  work: (noticed: NoticeOf) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const waiting = yield* Queue.unbounded<Effect.Effect<void>>()
    let isFull = false
    const noticed: NoticeOf = (statement, { context, isWarning, ...notice }) => {
      const { severity, message, sqlstate, detail, hint } = notice
      const at = statement === null ? line : locationOf(file, statement, { context }).line
      const words = {
        ...(detail === undefined ? {} : { detail }),
        ...(hint === undefined ? {} : { hint })
      }
      const one: RevisionNotice = { revision, direction, file, line: at, severity, message, sqlstate, ...words }
      if (log.keep(one)) {
        Queue.unsafeOffer(
          waiting,
          (isWarning ? Effect.logWarning : verbose ? Effect.logInfo : Effect.logDebug)(shown(one))
        )
      } else if (!isFull) {
        isFull = true
        Queue.unsafeOffer(waiting, Effect.logWarning(`${file}: more than ${maximum} notices; the others are not shown`))
      }
    }
    const write = Effect.flatMap(Queue.take(waiting), (entry) => entry)
    yield* Effect.forkScoped(Effect.forever(write))
    const rest = Effect.flatMap(Queue.takeAll(waiting), (entries) => Effect.all(entries, { discard: true }))
    return yield* Effect.ensuring(work(noticed), rest)
  }).pipe(Effect.scoped)
