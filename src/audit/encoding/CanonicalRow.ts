import * as Predicate from "effect/Predicate"
import { isAuditId } from "./AuditId.ts"
import { draftRow, type HashedRow, isoTime, sealRow } from "./AuditRow.ts"
import { CanonicalReader, parsed } from "./CanonicalReader.ts"

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

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
