import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type CommandError, runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import type { LetterKey, Replayed } from "../dead-letters/DeadLetterReplay.ts"
import { DeadLetters, type ReplayRequest } from "../dead-letters/DeadLetters.ts"
import {
  cursorOf,
  detailJson,
  letterJson,
  renderDetails,
  renderLetters,
  renderReplays,
  replayJson
} from "./LetterRendering.ts"

interface Shown {
  readonly json: boolean
  readonly noColor: boolean
}

const withLetters = <A, E, E2 extends CommandError, R>(
  database: Layer.Layer<Database, E2, R>,
  question: (letters: typeof DeadLetters.Service) => Effect.Effect<A, E>
) => Effect.flatMap(DeadLetters, question).pipe(Effect.provide(DeadLetters.layer), Effect.provide(database))

const exitCodes = {
  TrailUnreachable: ExitCode.noAccess,
  ReplayStopped: ExitCode.noAccess,
  LetterUnknown: ExitCode.notFound
}

/** `dead-letters list`: one page, newest first. */
export const listLetters = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  given: Shown & { readonly limit: number; readonly after: LetterKey | undefined }
) =>
  runCommand({
    ...given,
    command: "dead-letters list",
    work: withLetters(database, (letters) => letters.list(given)).pipe(
      Effect.map((found) => {
        const last = found.length < given.limit ? undefined : found.at(-1)
        return { letters: found, next: last === undefined ? null : cursorOf(last) }
      })
    ),
    render: ({ letters, next }, colours) => renderLetters(letters, next, colours),
    toJson: ({ letters, next }) => ({ letters: letters.map(letterJson), next }),
    exitCodes
  })

/** `dead-letters show`: all letters of one event. */
export const showLetter = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  given: Shown & { readonly eventId: string }
) =>
  runCommand({
    ...given,
    command: "dead-letters show",
    work: withLetters(database, (letters) => letters.show(given.eventId)),
    render: renderDetails,
    toJson: (letters) => ({ letters: letters.map(detailJson) }),
    exitCodes
  })

/** All well when each letter is in the trail now. */
export const replayVerdict = (outcomes: ReadonlyArray<Replayed>): Verdict | null => {
  const left = outcomes.filter(({ outcome }) => outcome === "refused" || outcome === "failed")
  return left.length === 0
    ? null
    : {
        error: "LettersLeft",
        message:
          `${left.length} of ${outcomes.length} letters did not come into the trail; they are kept. What each holds: ` +
          `${program} dead-letters show ${left[0]?.eventId}`,
        exitCode: ExitCode.deadLettersLeft
      }
}

/** `dead-letters replay`. `request` fails where nothing is to be begun; no database is opened then. */
export const replayLetters = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  given: Shown & { readonly request: Effect.Effect<ReplayRequest, E2, R2> }
) =>
  runCommand({
    ...given,
    command: "dead-letters replay",
    work: Effect.flatMap(given.request, (request) => withLetters(database, (letters) => letters.replay(request))),
    render: renderReplays,
    toJson: (outcomes) => ({ outcomes: outcomes.map(replayJson) }),
    verdict: replayVerdict,
    exitCodes
  })
