import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import type * as Scope from "effect/Scope"
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

/** The notices of a run, in order. */
export interface NoticeLog {
  readonly all: () => ReadonlyArray<RevisionNotice>
  /** Returns false once there are too many. */
  readonly keep: (notice: RevisionNotice) => boolean
  /** Runs a line of the log as soon as it can. */
  readonly write: (line: Effect.Effect<void>) => void
  /** Runs the lines that wait. */
  readonly flush: Effect.Effect<void>
}

/** Makes the NoticeLog of a run, which writes until the scope closes. */
export const makeNoticeLog: Effect.Effect<NoticeLog, never, Scope.Scope> = Effect.gen(function* () {
  const kept: Array<RevisionNotice> = []
  let waiting: Array<Effect.Effect<void>> = []
  const hasLines = yield* Effect.makeLatch()
  const permit = yield* Effect.makeSemaphore(1)
  const flush = permit.withPermits(1)(
    Effect.suspend(() => {
      const lines = waiting
      waiting = []
      hasLines.unsafeClose()
      return Effect.all(lines, { discard: true })
    })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(hasLines.await, flush)))
  return {
    all: () => kept,
    keep: (notice) => kept.length < maximum && kept.push(notice) > 0,
    write: (line) => {
      waiting.push(line)
      hasLines.unsafeOpen()
    },
    flush
  }
})

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
  Effect.flatMap(FiberRef.get(FiberRef.currentLogAnnotations), (annotations) => {
    let isFull = false
    const write = (line: Effect.Effect<void>) =>
      log.write(Effect.locally(line, FiberRef.currentLogAnnotations, annotations))
    const noticed: NoticeOf = (statement, { context, isWarning, ...notice }) => {
      const { severity, message, sqlstate, detail, hint } = notice
      const at = statement === null ? line : locationOf(file, statement, { context }).line
      const words = {
        ...(detail === undefined ? {} : { detail }),
        ...(hint === undefined ? {} : { hint })
      }
      const one: RevisionNotice = { revision, direction, file, line: at, severity, message, sqlstate, ...words }
      if (log.keep(one)) {
        write((isWarning ? Effect.logWarning : verbose ? Effect.logInfo : Effect.logDebug)(shown(one)))
      } else if (!isFull) {
        isFull = true
        write(Effect.logWarning(`${file}: more than ${maximum} notices; the others are not shown`))
      }
    }
    return Effect.ensuring(work(noticed), log.flush)
  })
