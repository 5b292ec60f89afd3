import { type AuditEvent, RecorderMark } from "../../domain/AuditEvent.ts"
import type { EncodedEvent } from "./AuditRow.ts"
import { boundText } from "./BoundedText.ts"
import { type Budget, encodeCanonical, type Reserved } from "./CanonicalJson.ts"

/** Code points that a row holds of each field; the table checks the same. */
export const limits = {
  ghost_id: 100,
  shell_id: 100,
  action: 100,
  resource: 255,
  result: 20,
  reason: 1_000,
  request_id: 100
} as const

type Field = keyof typeof limits

/** So much that the worst event costs its request no more than tens of microseconds: `pnpm bench audit` measures one. */
export const metadataBudget: Budget = { depth: 16, members: 64, size: 4_096, key: 128 }

/** Of a field that should be text and is not. */
const strayBudget: Budget = { depth: 4, members: 32, size: 1_000, key: 100 }

const unmarked: ReadonlyArray<string> = []

const property = (event: AuditEvent, key: keyof AuditEvent): unknown => {
  try {
    return event[key]
  } catch {
    return unreadable
  }
}

/** Stands for a property whose getter threw. */
const unreadable: unique symbol = Symbol("unreadable")

const textOf = (
  event: AuditEvent,
  key: Exclude<keyof AuditEvent, "metadata" | "marks">,
  field: Field,
  marks: Marks
) => {
  const given = property(event, key)
  if (given === null || given === undefined) return null
  if (given === unreadable) {
    marks.add(`${field}:unreadable`)
    return null
  }
  let text: string
  if (typeof given === "string") {
    text = given
  } else {
    text = encodeCanonical(given, strayBudget).json
    marks.add(`${field}:converted`)
  }
  const bounded = boundText(text, limits[field])
  if (bounded.truncated) marks.add(`${field}:truncated`)
  if (bounded.cleaned) marks.add(`${field}:cleaned`)
  return bounded.text
}

const traceIdShape = /^[0-9a-f]{32}$/

/**
 * The trace stands in the metadata, under a name that whoever is judged cannot fill: a column would be a new format of the row, and
 * of all that hashes, ships and reads rows. What a caller gave under that name is left out, and the row marked.
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

/** Known ones alone: a mark is written into rows as it is. */
const takeMarks = (event: AuditEvent, marks: Marks): void => {
  const given = property(event, "marks")
  if (given === undefined) return
  try {
    for (const mark of RecorderMark.literals) if (Array.isArray(given) && given.includes(mark)) marks.add(mark)
  } catch {
    marks.add("marks:unreadable")
  }
}

/** What was cut or cleaned; most events have nothing. */
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
 * Bounds and cleans an event. Takes any value in any field, whatever its declared type: cannot throw, so that no caller can
 * make its own row vanish. An absent result becomes empty text.
 */
export const encodeEvent = (event: AuditEvent, traceId?: string): EncodedEvent => {
  const marks = new Marks()
  takeMarks(event, marks)
  return {
    ghostId: textOf(event, "ghostId", "ghost_id", marks),
    shellId: textOf(event, "shellId", "shell_id", marks),
    action: textOf(event, "action", "action", marks),
    resource: textOf(event, "resource", "resource", marks),
    result: textOf(event, "result", "result", marks) ?? "",
    reason: textOf(event, "reason", "reason", marks),
    requestId: textOf(event, "requestId", "request_id", marks),
    metadata: metadataOf(event, traceId, marks),
    marks: marks.sorted()
  }
}
