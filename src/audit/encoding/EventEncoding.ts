import { type AuditEvent, RecorderMark } from "../../domain/AuditEvent.ts"
import { auditColumns, type EncodedEvent, type TextColumn } from "./AuditRow.ts"
import { boundText } from "./BoundedText.ts"
import { type Budget, encodeCanonical, type Reserved } from "./CanonicalJson.ts"

/** Bounds that keep the worst event's cost for its request at tens of microseconds; `pnpm bench audit` measures one. */
export const metadataBudget: Budget = { depth: 16, members: 64, size: 4_096, key: 128 }

/** Bounds of a value that should be text and is not. */
const convertedBudget: Budget = { depth: 4, members: 32, size: 1_000, key: 100 }

const unmarked: ReadonlyArray<string> = []

const property = (event: AuditEvent, key: keyof AuditEvent): unknown => {
  try {
    return event[key]
  } catch {
    return unreadable
  }
}

/** The value of a property whose getter threw. */
const unreadable: unique symbol = Symbol("unreadable")

const textOf = (event: AuditEvent, column: TextColumn, marks: Marks) => {
  const { field, limit } = auditColumns[column]
  const given = property(event, field)
  if (given === null || given === undefined) return null
  if (given === unreadable) {
    marks.add(`${column}:unreadable`)
    return null
  }
  let text: string
  if (typeof given === "string") {
    text = given
  } else {
    text = encodeCanonical(given, convertedBudget).json
    marks.add(`${column}:converted`)
  }
  const bounded = boundText(text, limit)
  if (bounded.truncated) marks.add(`${column}:truncated`)
  if (bounded.cleaned) marks.add(`${column}:cleaned`)
  return bounded.text
}

const traceIdShape = /^[0-9a-f]{32}$/

/**
 * The trace id is a reserved member of the metadata, which callers cannot set: a value of theirs under that name is left out,
 * and the row is marked. A column of its own would change the format of the row and everything that hashes or reads rows.
 */
const traceOf = (traceId: string | undefined): Reserved | undefined =>
  traceId !== undefined && traceIdShape.test(traceId) ? { key: "trace_id", json: `"${traceId}"` } : undefined

const metadataOf = (event: AuditEvent, traceId: string | undefined, marks: Marks): string => {
  const trace = traceOf(traceId)
  const alone = trace === undefined ? "{}" : `{"${trace.key}":${trace.json}}`
  const given = property(event, "metadata")
  if (given === null || given === undefined) return alone
  if (given === unreadable) {
    marks.add("metadata:unreadable")
    return alone
  }
  const { json, blemishes } = encodeCanonical(given, metadataBudget, trace)
  for (const blemish of blemishes) marks.add(`metadata:${blemish}`)
  if (json.startsWith("{")) return json
  marks.add("metadata:wrapped")
  return trace === undefined ? `{"value":${json}}` : `{"${trace.key}":${trace.json},"value":${json}}`
}

/** Accepts known marks only, because a mark is written into the row as it is. */
const takeMarks = (event: AuditEvent, marks: Marks): void => {
  const given = property(event, "marks")
  if (given === undefined) return
  try {
    for (const mark of RecorderMark.literals) if (Array.isArray(given) && given.includes(mark)) marks.add(mark)
  } catch {
    marks.add("marks:unreadable")
  }
}

/** The marks of an event; most events have none. */
class Marks {
  private readonly found = new Set<string>()

  add(mark: string): void {
    this.found.add(mark)
  }

  sorted(): ReadonlyArray<string> {
    return this.found.size === 0 ? unmarked : [...this.found].sort()
  }
}

/**
 * Bounds and cleans an event. Accepts any value in any field, whatever its declared type, and never throws, so that no caller
 * can prevent its own row. An absent result becomes empty text.
 */
export const encodeEvent = (event: AuditEvent, traceId?: string): EncodedEvent => {
  const marks = new Marks()
  takeMarks(event, marks)
  return {
    ghostId: textOf(event, "ghost_id", marks),
    shellId: textOf(event, "shell_id", marks),
    action: textOf(event, "action", marks),
    resource: textOf(event, "resource", marks),
    result: textOf(event, "result", marks) ?? "",
    reason: textOf(event, "reason", marks),
    requestId: textOf(event, "request_id", marks),
    metadata: metadataOf(event, traceId, marks),
    marks: marks.sorted()
  }
}
