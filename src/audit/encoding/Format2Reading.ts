import * as Predicate from "effect/Predicate"
import { isAuditId } from "./AuditId.ts"
import { isoTime } from "./AuditRow.ts"
import { boundText } from "./BoundedText.ts"
import { type Budget, encodeCanonical } from "./CanonicalJson.ts"
import { CanonicalReader, parsed } from "./CanonicalReader.ts"
import type { EventClient, Format2Row } from "./Format2Row.ts"

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const saltShape = /^[0-9a-f]{64}$/

/** Only the depth is bounded, because the encoder calls itself for each level. The recorder's own metadata are less deep. */
const anySize: Budget = { depth: 32, members: Infinity, size: Infinity, key: Infinity }

/** RFC 8785 refuses half a surrogate pair, and PostgreSQL refuses NUL. */
const checkText = (reader: CanonicalReader, text: string): string => {
  if (boundText(text, Infinity).cleaned) reader.isCanonical = false
  return text
}

/** Reads the members of an object in the order in which the caller asks for them. */
class MemberReader {
  private separator = "{"

  constructor(readonly reader: CanonicalReader) {}

  /** Says whether the member is next, and passes its name. */
  has(name: string): boolean {
    if (!this.reader.passed(`${this.separator}"${name}":`)) return false
    this.separator = ","
    return true
  }

  /** Passes the name of a member that has to be here. */
  need(name: string): void {
    this.reader.pass(`${this.separator}"${name}":`)
    this.separator = ","
  }

  optional(name: string): string | null {
    return this.has(name) ? checkText(this.reader, this.reader.string()) : null
  }

  required(name: string): string {
    this.need(name)
    return checkText(this.reader, this.reader.string())
  }
}

/** An empty object is not canonical here, because absent members are left out. */
const clientOf = (reader: CanonicalReader): EventClient => {
  const members = new MemberReader(reader)
  const address = members.optional("address")
  const agent = members.optional("agent")
  reader.pass(address === null && agent === null ? "an empty client is left out" : "}")
  return { ...(address === null ? {} : { address }), ...(agent === null ? {} : { agent }) }
}

/** An empty list is not canonical here either. */
const marksOf = (reader: CanonicalReader): ReadonlyArray<string> => {
  const marks = reader.strings()
  if (marks.length === 0) reader.isCanonical = false
  for (const mark of marks) checkText(reader, mark)
  return marks
}

const readRow = (reader: CanonicalReader) => {
  const members = new MemberReader(reader)
  const action = members.optional("action")
  const askedBy = members.optional("asked_by")
  const client = members.has("client") ? clientOf(reader) : null
  const ghostId = members.optional("ghost_id")
  const id = members.required("id")
  const identity = members.optional("identity")
  const marks = members.has("marks") ? marksOf(reader) : []
  const metadata = members.has("metadata") ? reader.object() : undefined
  const policyVersion = members.optional("policy_version")
  const reason = members.optional("reason")
  const requestId = members.optional("request_id")
  const resource = members.optional("resource")
  const result = members.required("result")
  const rule = members.optional("rule")
  const salt = members.required("salt")
  members.need("seq")
  const seq = reader.count()
  const shellId = members.optional("shell_id")
  const source = members.required("source")
  const time = members.required("timestamp")
  const traceId = members.optional("trace_id")
  reader.pass(',"v":2}')
  reader.end()
  const who = { action, askedBy, client, ghostId, identity, reason, requestId, resource, rule, shellId, traceId }
  return { ...who, id, marks, metadata, policyVersion, result, salt, seq, source, time }
}

/**
 * Whether a text is a JSON object in canonical form, and not the empty one, which is left out. A verifier that has the row only as
 * columns writes the metadata again from their value, so any other form would give it another digest.
 */
const isCanonicalMetadata = (json: string): boolean => {
  const members = parsed(json)
  return json !== "{}" && Predicate.isReadonlyRecord(members) && encodeCanonical(members, anySize).json === json
}

/**
 * Returns the row whose `format2Json` is this text; undefined when the text is not canonical JSON (RFC 8785), the metadata
 * included.
 */
export const format2RowOf = (json: string): Format2Row | undefined => {
  const reader = new CanonicalReader(json)
  const { id, metadata, time, ...read } = readRow(reader)
  if (!reader.isCanonical || !isAuditId(id) || !uuid.test(read.source) || !saltShape.test(read.salt)) return undefined
  const timestamp = Date.parse(time)
  if (Number.isNaN(timestamp) || isoTime(timestamp) !== time) return undefined
  if (metadata !== undefined && !isCanonicalMetadata(metadata)) return undefined
  return { ...read, id, timestamp, metadata: metadata ?? "{}" }
}
