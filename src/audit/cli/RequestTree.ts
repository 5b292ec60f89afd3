import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import { Database } from "../../platform/postgres/Database.ts"
import { type AttributedEvent, AuditReader, eventView } from "../AuditReader.ts"

/** No row of the trail has the id. */
export class RequestUnknown extends Schema.TaggedError<RequestUnknown>()("RequestUnknown", {
  requestId: Schema.String,
  /** Without password. */
  address: Schema.String
}) {
  readonly exitCode = ExitCode.notFound
  override get message(): string {
    return (
      `no event of the request ${JSON.stringify(this.requestId)} is in the trail at ${this.address}. The id is that of the answer's ` +
      `X-Request-Id, to the letter; events may wait in a journal: ${program} trail status`
    )
  }
}

/** The events of one request, oldest first. */
export interface RequestEvents {
  readonly requestId: string
  readonly events: Arr.NonEmptyReadonlyArray<AttributedEvent>
  /** Whether the request has older events, which are not among these. */
  readonly isCut: boolean
}

/** A request of an agent has a few dozen events; a batch that reports other programs' events may have a thousand. */
const mostEvents = 1_000

/** Reads the newest 1 000 events of a request. */
export const readRequest = <E, R>(database: Layer.Layer<Database, E, R>, requestId: string) =>
  Effect.gen(function* () {
    const reader = yield* AuditReader
    const { events, next } = yield* reader.events({ requestId, limit: mostEvents })
    const oldestFirst = events.toReversed()
    if (Arr.isNonEmptyReadonlyArray(oldestFirst)) {
      return { requestId, events: oldestFirst, isCut: next !== null } satisfies RequestEvents
    }
    return yield* new RequestUnknown({ requestId, address: (yield* Database).address("gatekeeper") })
  }).pipe(Effect.provide(Layer.provideMerge(AuditReader.layer, database)))

const tones: Readonly<Record<string, number>> = { ALLOWED: 32, DENIED: 31, FAILED: 31, UNAUTHENTICATED: 31 }

const coloured = (text: string, code: number | undefined, colours: boolean): string =>
  colours && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text

const quiet = 90

const millisOf = ({ timestamp }: AttributedEvent): number => timestamp.epochMillis

/** What one step of the request was about: the events of one resource, in the order of the first. */
const stepsOf = (events: ReadonlyArray<AttributedEvent>) =>
  Object.entries(Arr.groupBy(events, ({ resource }) => resource ?? "(no resource)"))

/** Renders the events as a tree: what the request was about, and under each resource what was decided and done, with times. */
export const renderRequest = ({ events, isCut, requestId }: RequestEvents, colours: boolean): string => {
  const [first] = events
  const began = Math.min(...events.map(millisOf))
  const lasted = Math.max(...events.map(millisOf)) - began
  const ghosts = [...new Set(events.flatMap(({ ghostId }) => ghostId ?? []))].map(visible).join(", ")
  const width = Math.max(...events.map(({ action }) => visible(action ?? "-").length))
  const resultWidth = Math.max(...events.map(({ result }) => result.length))
  const timeWidth = `+${lasted} ms`.length
  const line = (event: AttributedEvent) => {
    const time = `+${millisOf(event) - began} ms`.padStart(timeWidth)
    const reason = event.reason === null ? "" : `  ${coloured(visible(event.reason), quiet, colours)}`
    const result = coloured(event.result.padEnd(resultWidth), tones[event.result], colours)
    return `${coloured(time, quiet, colours)}  ${visible(event.action ?? "-").padEnd(width)}  ${result}${reason}`.trimEnd()
  }
  const steps = stepsOf(events)
  const branches = steps.flatMap(([resource, found], index) => {
    const isLast = index === steps.length - 1
    const [branch, trunk] = isLast ? ["└─ ", "   "] : ["├─ ", "│  "]
    const leaves = found.map((event, at) => `${trunk}${at === found.length - 1 ? "└─ " : "├─ "}${line(event)}`)
    return [`${branch}${visible(resource)}`, ...leaves]
  })
  const count = `${events.length} event${events.length === 1 ? "" : "s"} in ${lasted} ms`
  const cut = isCut ? [`Only the newest ${events.length} events of the request are shown.`] : []
  return [
    `${visible(requestId)}  ${ghosts === "" ? "" : `${ghosts}  `}${DateTime.formatIso(first.timestamp)}  ${count}`,
    ...branches,
    ...cut
  ].join("\n")
}

/** The events with the names of `GET /audit/events`. */
export const requestJson = ({ events, isCut, requestId }: RequestEvents) => ({
  request_id: requestId,
  is_cut: isCut,
  events: events.map(eventView)
})
