import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import { program } from "../../platform/cli/Help.ts"
import { type Cell, renderTable } from "../../platform/cli/Table.ts"
import { visible } from "../../platform/cli/Visible.ts"
import type { LetterDetail, LetterSummary } from "../dead-letters/DeadLetterReading.ts"
import type { LetterKey, Replayed, ReplayOutcome } from "../dead-letters/DeadLetterReplay.ts"

/** What `--after` takes: the same id may have come with several contents. */
export const cursorOf = ({ eventId, leafHash }: LetterKey): string => `${eventId}:${leafHash}`

const state = ({ settled }: LetterSummary): Cell =>
  settled ? { text: "in the trail", tone: "good" } : { text: "waits", tone: "warn" }

const why = ({ reason, sqlstate }: LetterSummary): string => (sqlstate === null ? reason : `${sqlstate}: ${reason}`)

export const renderLetters = (letters: ReadonlyArray<LetterSummary>, next: string | null, colours: boolean): string => {
  if (letters.length === 0) return "No dead letters."
  const rows = letters.map(
    (letter): ReadonlyArray<Cell> => [
      { text: letter.eventId },
      { text: DateTime.formatIso(letter.at) },
      state(letter),
      { text: String(letter.replays) },
      { text: String(letter.attempts) },
      { text: `${letter.size} bytes` },
      { text: why(letter) }
    ]
  )
  const table = renderTable(["event", "refused at", "state", "replays", "attempts", "size", "reason"], rows, colours)
  return next === null ? table : `${table}\n\nMore: ${program} dead-letters list --after ${next}`
}

/** The event that the bytes hold; undefined when they are no JSON text. */
const eventOf = (body: Uint8Array): unknown =>
  Either.getOrUndefined(Either.try(() => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))))

const prettyEvent = (body: Uint8Array): string => {
  const event = eventOf(body)
  return event === undefined
    ? "Its bytes are no JSON text; --json shows them in base64."
    : JSON.stringify(event, null, 2).split("\n").map(visible).join("\n")
}

/** One letter with its event as a person reads it, and what became of each replay. */
const renderDetail = (letter: LetterDetail, colours: boolean): string => {
  const fact = (name: string, text: string, tone?: Cell["tone"]): ReadonlyArray<Cell> => [
    { text: name, tone: "quiet" },
    tone === undefined ? { text } : { text, tone }
  ]
  const facts = renderTable(
    ["event", letter.eventId],
    [
      fact("leaf hash", letter.leafHash),
      fact("source", `${letter.source}, number ${letter.seq}`),
      fact("refused at", `${DateTime.formatIso(letter.at)}, after ${letter.attempts} attempts`),
      fact("reason", why(letter)),
      fact("size", `${letter.size} bytes`),
      fact("state", state(letter).text, state(letter).tone),
      ...letter.tries.map(({ at, by, detail, outcome }) =>
        fact("replay", `${DateTime.formatIso(at)} by ${by}: ${outcome}${detail === null ? "" : `, ${detail}`}`)
      )
    ],
    colours
  )
  return `${facts}\n\n${prettyEvent(letter.body)}`
}

export const renderDetails = (letters: ReadonlyArray<LetterDetail>, colours: boolean): string =>
  letters.map((letter) => renderDetail(letter, colours)).join("\n\n")

const tones: Readonly<Record<ReplayOutcome, NonNullable<Cell["tone"]>>> = {
  replayed: "good",
  present: "good",
  settled: "quiet",
  refused: "bad",
  failed: "bad"
}

export const renderReplays = (outcomes: ReadonlyArray<Replayed>, colours: boolean): string =>
  outcomes.length === 0
    ? "No dead letter waits."
    : renderTable(
        ["event", "outcome", "told of in the trail by", "detail"],
        outcomes.map(({ auditId, detail, eventId, outcome }) => [
          { text: eventId },
          { text: outcome, tone: tones[outcome] },
          { text: auditId ?? "-" },
          { text: detail ?? "" }
        ]),
        colours
      )

export const letterJson = (letter: LetterSummary) => ({
  event_id: letter.eventId,
  leaf_hash: letter.leafHash,
  source: letter.source,
  seq: letter.seq,
  sqlstate: letter.sqlstate,
  reason: letter.reason,
  attempts: letter.attempts,
  at: DateTime.formatIso(letter.at),
  bytes: letter.size,
  settled: letter.settled,
  replays: letter.replays
})

/** `event` is null when the bytes are no JSON text. */
export const detailJson = (letter: LetterDetail) => ({
  ...letterJson(letter),
  event: eventOf(letter.body) ?? null,
  body_base64: Buffer.from(letter.body).toString("base64"),
  tries: letter.tries.map(({ at, ...rest }) => ({ at: DateTime.formatIso(at), ...rest }))
})

export const replayJson = ({ auditId, detail, eventId, leafHash, outcome }: Replayed) => ({
  event_id: eventId,
  leaf_hash: leafHash,
  outcome,
  detail,
  audit_id: auditId
})
