import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import { type CommandError, type OutputFlags, runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { type Cell, type Row, renderFacts, renderTable } from "../../platform/cli/Table.ts"
import { snakeCase, visible } from "../../platform/cli/TerminalText.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import type { LetterDetail, LetterSummary } from "../dead-letters/DeadLetterReading.ts"
import type { LetterKey, Replayed, ReplayOutcome } from "../dead-letters/DeadLetterReplay.ts"
import { DeadLetters, type ReplayRequest } from "../dead-letters/DeadLetters.ts"

const withLetters = <A, E, E2 extends CommandError, R>(
  database: Layer.Layer<Database, E2, R>,
  use: (letters: typeof DeadLetters.Service) => Effect.Effect<A, E>
) => Effect.flatMap(DeadLetters, use).pipe(Effect.provide(DeadLetters.layer), Effect.provide(database))

const exitCodes = {
  TrailUnreachable: ExitCode.noAccess,
  ReplayStopped: ExitCode.noAccess,
  LetterUnknown: ExitCode.notFound
}

const stateCell = ({ conflict, settled }: LetterSummary): Cell =>
  settled ? { text: "in the trail", tone: "good" } : { text: conflict ? "conflict" : "waits", tone: "warn" }

const reasonText = ({ reason, sqlstate }: LetterSummary): string =>
  sqlstate === null ? reason : `${sqlstate}: ${reason}`

const letterJson = ({ at, replays, settled, size, ...letter }: LetterSummary) => ({
  ...snakeCase(letter),
  at: DateTime.formatIso(at),
  bytes: size,
  settled,
  replays
})

const renderLetters = (letters: ReadonlyArray<LetterSummary>, next: string | null, colours: boolean): string => {
  if (letters.length === 0) return "No dead letters."
  const rows = letters.map(
    (letter): Row => [
      letter.eventId,
      DateTime.formatIso(letter.at),
      stateCell(letter),
      String(letter.replays),
      String(letter.attempts),
      `${letter.size} bytes`,
      reasonText(letter)
    ]
  )
  const table = renderTable(["event", "refused at", "state", "replays", "attempts", "size", "reason"], rows, colours)
  return next === null ? table : `${table}\n\nMore: ${program} dead-letters list --after ${next}`
}

/** `dead-letters list`: prints one page, newest first. */
export const listLetters = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  options: OutputFlags & { readonly limit: number; readonly after: LetterKey | undefined }
) =>
  runCommand({
    ...options,
    command: "dead-letters list",
    work: withLetters(database, (letters) => letters.list(options)).pipe(
      Effect.map((letters) => {
        const last = letters.length < options.limit ? undefined : letters.at(-1)
        // An event id alone is not enough: several letters may have it.
        return { letters, next: last === undefined ? null : `${last.eventId}:${last.leafHash}` }
      })
    ),
    render: ({ letters, next }, colours) => renderLetters(letters, next, colours),
    toJson: ({ letters, next }) => ({ letters: letters.map(letterJson), next }),
    exitCodes
  })

/** Decodes the event; undefined when the bytes are not valid JSON. */
const eventOf = (body: Uint8Array): unknown =>
  Either.getOrUndefined(Either.try(() => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))))

const prettyEvent = (body: Uint8Array): string => {
  const event = eventOf(body)
  return event === undefined
    ? "The bytes are not valid JSON; --json shows them in base64."
    : JSON.stringify(event, null, 2).split("\n").map(visible).join("\n")
}

/** Renders a letter, its event as indented JSON, and the outcome of each replay. */
const renderDetail = (letter: LetterDetail, colours: boolean): string => {
  const facts = renderFacts(
    "event",
    letter.eventId,
    [
      ["leaf hash", letter.leafHash],
      ["source", `${letter.source}, number ${letter.seq}`],
      ["refused at", `${DateTime.formatIso(letter.at)}, after ${letter.attempts} attempts`],
      ["reason", reasonText(letter)],
      ["size", `${letter.size} bytes`],
      ["state", stateCell(letter)],
      ...letter.tries.map(({ at, by, detail, outcome }) => {
        const how = detail === null ? outcome : `${outcome}, ${detail}`
        return ["replay", `${DateTime.formatIso(at)} by ${by}: ${how}`] as const
      })
    ],
    colours
  )
  return `${facts}\n\n${prettyEvent(letter.body)}`
}

/** `event` is null when the bytes are not valid JSON. */
const detailJson = ({ body, tries, ...letter }: LetterDetail) => ({
  ...letterJson(letter),
  event: eventOf(body) ?? null,
  body_base64: Buffer.from(body).toString("base64"),
  tries: tries.map(({ at, ...rest }) => ({ at: DateTime.formatIso(at), ...rest }))
})

/** `dead-letters show`: prints all letters of one event. */
export const showLetter = <E extends CommandError, R>(
  database: Layer.Layer<Database, E, R>,
  options: OutputFlags & { readonly eventId: string }
) =>
  runCommand({
    ...options,
    command: "dead-letters show",
    work: withLetters(database, (letters) => letters.show(options.eventId)),
    render: (letters, colours) => letters.map((letter) => renderDetail(letter, colours)).join("\n\n"),
    toJson: (letters) => ({ letters: letters.map(detailJson) }),
    exitCodes
  })

const tones: Readonly<Record<ReplayOutcome, NonNullable<Cell["tone"]>>> = {
  replayed: "good",
  present: "good",
  settled: "quiet",
  refused: "bad",
  failed: "bad"
}

interface ReplayResult {
  readonly outcomes: ReadonlyArray<Replayed>
  /** Conflicts that `--all` left out. */
  readonly conflicts: number
}

const renderOutcomes = (outcomes: ReadonlyArray<Replayed>, colours: boolean): string =>
  outcomes.length === 0
    ? "No other dead letter waits."
    : renderTable(
        ["event", "outcome", "audit event of the replay", "detail"],
        outcomes.map(({ auditId, detail, eventId, outcome }) => [
          eventId,
          { text: outcome, tone: tones[outcome] },
          auditId ?? "-",
          detail ?? ""
        ]),
        colours
      )

const renderReplays = ({ conflicts, outcomes }: ReplayResult, colours: boolean): string => {
  if (conflicts > 0) {
    return (
      `${renderOutcomes(outcomes, colours)}\n\n${conflicts} conflicts were left out: their ids were used for other events. Find out ` +
      `who sent them: ${program} dead-letters list. To bring one in, marked ingest:conflict: ${program} dead-letters replay <event-id>`
    )
  }
  return outcomes.length === 0 ? "No dead letter waits." : renderOutcomes(outcomes, colours)
}

/** Null when each letter is in the trail now. */
export const replayVerdict = (outcomes: ReadonlyArray<Replayed>): Verdict | null => {
  const left = outcomes.filter(({ outcome }) => outcome === "refused" || outcome === "failed")
  return left.length === 0
    ? null
    : {
        error: "LettersLeft",
        message:
          `${left.length} of ${outcomes.length} letters could not be written to the trail; they are kept. To see why: ` +
          `${program} dead-letters show ${left[0]?.eventId}`,
        exitCode: ExitCode.deadLettersLeft
      }
}

/** `dead-letters replay`. When `request` fails, no database is opened. */
export const replayLetters = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  options: OutputFlags & { readonly request: Effect.Effect<ReplayRequest, E2, R2> }
) =>
  runCommand({
    ...options,
    command: "dead-letters replay",
    work: Effect.flatMap(options.request, (request) =>
      withLetters(database, (letters) =>
        Effect.all({
          outcomes: letters.replay(request),
          conflicts: "all" in request ? letters.conflicts : Effect.succeed(0)
        })
      )
    ),
    render: renderReplays,
    toJson: ({ conflicts, outcomes }) => ({
      outcomes: outcomes.map((one) => snakeCase(one)),
      conflicts_left_out: conflicts
    }),
    verdict: ({ outcomes }) => replayVerdict(outcomes),
    exitCodes
  })
