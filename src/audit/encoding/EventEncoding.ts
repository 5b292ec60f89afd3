import { type AuditEvent, RecorderMark, reservedMembers } from "../../domain/AuditEvent.ts"
import { isSecretName, maskText } from "../../domain/Secrets.ts"
import { auditColumns, type EncodedEvent, type TextColumn } from "./AuditRow.ts"
import { boundText } from "./BoundedText.ts"
import { type Budget, encodeCanonical, type MemberRules } from "./CanonicalJson.ts"

/** Bounds that keep the worst event's cost for its request at tens of microseconds; `pnpm bench audit` measures one. */
export const metadataBudget: Budget = { depth: 16, members: 64, size: 4_096, key: 128 }

/** Bounds of a value that should be text and is not. */
const convertedBudget: Budget = { depth: 4, members: 32, size: 1_000, key: 100 }

/** Of the row of an event whose key was used for another event: it is in the trail only where an operator named it for a replay. */
export const conflictMark = "ingest:conflict"

type Marks = Set<string>

/** Most events have no marks. */
const unmarked: ReadonlyArray<string> = []

const reserved: ReadonlySet<string> = new Set(reservedMembers)

const noFacts = {}

/** The rules of metadata; a value that is converted to text has no facts. */
const plainRules: MemberRules = { reserved: new Set(), facts: noFacts, uncounted: undefined, isSecret: isSecretName }

export interface EncodingOptions {
  /** Of the request. */
  readonly traceId?: string | undefined
  /** In addition to the event's own. */
  readonly marks?: ReadonlyArray<RecorderMark>
  /** Names that a caller may not use; by default `reservedMembers`. */
  readonly leftOut?: ReadonlySet<string>
}

const property = (event: AuditEvent, key: keyof AuditEvent): unknown => {
  try {
    return event[key]
  } catch {
    return unreadable
  }
}

/** The value of a property whose getter threw. */
const unreadable: unique symbol = Symbol("unreadable")

/** Columns whose text may quote a request. The others are names, which must stay what they are. */
const freeTexts: ReadonlySet<TextColumn> = new Set(["action", "resource", "reason"])

/** Masks after the bound, which keeps the cost small. The mask may be longer than the secret. */
const masked = (text: string, column: TextColumn, marks: Marks): string => {
  const shown = maskText(text)
  if (shown === text) return text
  marks.add(`${column}:masked`)
  return boundText(shown, auditColumns[column].limit).text
}

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
    text = encodeCanonical(given, convertedBudget, plainRules).json
    marks.add(`${column}:converted`)
  }
  const bounded = boundText(text, limit)
  if (bounded.truncated) marks.add(`${column}:truncated`)
  if (bounded.cleaned) marks.add(`${column}:cleaned`)
  return freeTexts.has(column) ? masked(bounded.text, column, marks) : bounded.text
}

const traceIdShape = /^[0-9a-f]{32}$/

/** The trace id is a member of the metadata: a column of its own would change the format of the row and all that hashes or reads rows. */
const traceOf = (traceId: string | undefined): MemberRules["uncounted"] =>
  traceId !== undefined && traceIdShape.test(traceId) ? { key: "trace_id", json: `"${traceId}"` } : undefined

const factsOf = (event: AuditEvent): object => {
  const facts = property(event, "facts")
  return typeof facts === "object" && facts !== null ? facts : noFacts
}

/** The names that a caller may not use are left out before the program's own members and the trace go in. */
const metadataOf = (event: AuditEvent, { leftOut, traceId }: EncodingOptions, marks: Marks): string => {
  const rules: MemberRules = {
    reserved: leftOut ?? reserved,
    facts: factsOf(event),
    uncounted: traceOf(traceId),
    isSecret: isSecretName
  }
  const given = property(event, "metadata") ?? noFacts
  if (given === unreadable) marks.add("metadata:unreadable")
  const encode = (value: unknown): string => {
    const { json, blemishes } = encodeCanonical(value, metadataBudget, rules)
    for (const blemish of blemishes) marks.add(`metadata:${blemish}`)
    return json
  }
  const json = encode(given === unreadable ? noFacts : given)
  if (json.startsWith("{")) return json
  marks.add("metadata:wrapped")
  return encode({ value: given })
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

/**
 * Bounds and cleans an event. Accepts any value in any field, whatever its declared type, and never throws, so that no caller
 * can prevent its own row. An absent result becomes empty text.
 */
export const encodeEvent = (event: AuditEvent, options: EncodingOptions = {}): EncodedEvent => {
  const marks: Marks = new Set()
  takeMarks(event, marks)
  for (const mark of options.marks ?? unmarked) marks.add(mark)
  return {
    ghostId: textOf(event, "ghost_id", marks),
    shellId: textOf(event, "shell_id", marks),
    action: textOf(event, "action", marks),
    resource: textOf(event, "resource", marks),
    result: textOf(event, "result", marks) ?? "",
    reason: textOf(event, "reason", marks),
    requestId: textOf(event, "request_id", marks),
    metadata: metadataOf(event, options, marks),
    marks: marks.size === 0 ? unmarked : [...marks].sort()
  }
}
