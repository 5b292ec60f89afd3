import * as Predicate from "effect/Predicate"
import { endOfString } from "../../domain/JsonText.ts"
import { isAuditId } from "./AuditId.ts"
import { draftRow, type HashedRow, isoTime, sealRow } from "./AuditRow.ts"

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** What JSON.stringify may escape. Texts without it, nearly all, are between their quotes as they are. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const escapable = /[\\\u0000-\u001f\ud800-\udfff]/

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const unmarked: ReadonlyArray<string> = []

/** Reads a canonical text from left to right. Where it is not canonical, `isCanonical` becomes false, and values mean nothing. */
class CanonicalReader {
  private at = 0
  isCanonical = true

  constructor(private readonly json: string) {}

  private fail(): string {
    this.isCanonical = false
    return ""
  }

  private has(literal: string): boolean {
    if (!this.json.startsWith(literal, this.at)) return false
    this.at += literal.length
    return true
  }

  /** Passes a text that has to be here. */
  pass(literal: string): void {
    if (!this.has(literal)) this.fail()
  }

  string(): string {
    const { at, json } = this
    if (json.charCodeAt(at) !== 0x22) return this.fail()
    const end = endOfString(json, at)
    if (end === -1) return this.fail()
    this.at = end + 1
    const plain = json.slice(at + 1, end)
    if (!escapable.test(plain)) return plain
    const token = json.slice(at, end + 1)
    const value = parsed(token)
    return typeof value === "string" && JSON.stringify(value) === token ? value : this.fail()
  }

  text(): string | null {
    return this.has("null") ? null : this.string()
  }

  /** Passes the text up to a position. */
  upTo(end: number): string {
    if (end < this.at) return this.fail()
    const passed = this.json.slice(this.at, end)
    this.at = end
    return passed
  }

  /** Passes a whole number above 0. */
  count(): number {
    const digits = this.upTo(this.json.indexOf(",", this.at))
    const value = Number(digits)
    if (!Number.isSafeInteger(value) || value <= 0 || String(value) !== digits) this.fail()
    return value
  }

  strings(): ReadonlyArray<string> {
    if (this.has("[]")) return unmarked
    this.pass("[")
    const all = [this.string()]
    while (this.isCanonical && this.has(",")) all.push(this.string())
    this.pass("]")
    return all
  }

  end(): void {
    if (this.at !== this.json.length) this.fail()
  }
}

/**
 * Returns the row whose `canonicalJson` is this text; undefined when the text is not canonical. The members are read where they have
 * to be: parsing the text and building it again from the result costs half as much again. The metadata stay text: built again from
 * their parsed form, keys that look like numbers would change places, and the hash with them.
 */
export const rowOf = (json: string): HashedRow | undefined => {
  const reader = new CanonicalReader(json)
  reader.pass('{"action":')
  const action = reader.text()
  reader.pass(',"ghost_id":')
  const ghostId = reader.text()
  reader.pass(',"id":')
  const id = reader.string()
  reader.pass(',"marks":')
  const marks = reader.strings()
  reader.pass(',"metadata":')
  // A text within the members that follow would hold this with its quotes escaped.
  const metadata = reader.upTo(json.lastIndexOf(',"reason":'))
  reader.pass(',"reason":')
  const reason = reader.text()
  reader.pass(',"request_id":')
  const requestId = reader.text()
  reader.pass(',"resource":')
  const resource = reader.text()
  reader.pass(',"result":')
  const result = reader.string()
  reader.pass(',"seq":')
  const seq = reader.count()
  reader.pass(',"shell_id":')
  const shellId = reader.text()
  reader.pass(',"source":')
  const source = reader.string()
  reader.pass(',"timestamp":')
  const time = reader.string()
  reader.pass("}")
  reader.end()
  if (!reader.isCanonical || !isAuditId(id) || !uuid.test(source)) return undefined
  const timestamp = Date.parse(time)
  if (Number.isNaN(timestamp) || isoTime(timestamp) !== time) return undefined
  // Otherwise unknown members could hide between the members of the canonical form.
  const members = parsed(metadata)
  if (!Predicate.isReadonlyRecord(members)) return undefined
  const event = { ghostId, shellId, action, resource, result, reason, requestId, metadata, marks }
  return sealRow(draftRow(event, { id, timestamp, source, seq }), json)
}
