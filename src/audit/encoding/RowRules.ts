import * as Predicate from "effect/Predicate"
import { type AuditResult, originMembers } from "../../domain/AuditEvent.ts"
import { isSecretName } from "../../domain/Secrets.ts"
import { type ServiceName, servicesOf } from "../../domain/Service.ts"
import { type AuditId, isAuditId, millisOf } from "./AuditId.ts"
import { auditColumns, type HashedRow, type TextColumn } from "./AuditRow.ts"
import { boundText } from "./BoundedText.ts"
import { encodeCanonical, type MemberRules } from "./CanonicalJson.ts"
import { metadataBudget } from "./EventEncoding.ts"
import { limitAction, receiptAction, receiptResult, sourceResource } from "./TrailEvents.ts"

/** What a service records of its own. The gatekeeper alone decides by the policy, so no other process records its decisions. */
const actions: Readonly<Record<ServiceName, RegExp>> = {
  gatekeeper: /^(?!)/,
  guardian: /^(certificate|badge|session)\.[a-z.]+$/,
  router: /^route(\.[a-z]+)?$/
}

const results: ReadonlyArray<string> = ["ALLOWED", "DENIED", "INVALID", "WITHDRAWN"]

/** Members of the metadata by which the gatekeeper says where an event comes from. */
const ofGatekeeper = originMembers.filter((name) => name !== "trace_id")

/** A row holds what the recorder's own program stated, and no secret that is known by its name. */
const rules: MemberRules = { reserved: new Set(), facts: {}, uncounted: undefined, isSecret: isSecretName }

/** Numbers of a source, and counts of its events: no process gives so many. */
export const maximumCount = 1e12

/** How far, in milliseconds, a row's timestamp may be from the time in its id; the recorder bridges a minute. */
const timestampTolerance = 5 * 60_000

/** How far, in milliseconds, the clock of another process may be ahead. */
const clockLead = 60 * 60_000

/** A little more than the recorder's: encoding metadata again also counts the trace id, and what was wrapped or cut at the very end. */
const budget = {
  ...metadataBudget,
  depth: metadataBudget.depth + 1,
  members: metadataBudget.members + 2,
  size: metadataBudget.size + 128
}

/** A mark of the recorder. Those of the gatekeeper (`auth:disabled`) are not among them. */
const mark = /^(ghost_id|shell_id|action|resource|result|reason|request_id|trace_id|metadata|marks):[a-z-]{1,20}$/

const textColumns: ReadonlyArray<TextColumn> = [
  "ghost_id",
  "shell_id",
  "action",
  "resource",
  "result",
  "reason",
  "request_id"
]

/** The members of a row's metadata, which is a JSON object. */
const membersOf = ({ metadata }: Pick<HashedRow, "metadata">): Readonly<Record<string, unknown>> => {
  const members: unknown = JSON.parse(metadata)
  return Predicate.isReadonlyRecord(members) ? members : {}
}

const isBounded = (row: HashedRow, column: TextColumn): boolean => {
  const { field, limit } = auditColumns[column]
  const { cleaned, truncated } = boundText(row[field] ?? "", limit)
  return !cleaned && !truncated
}

const boundsProblem = (row: HashedRow, now: number): string | undefined => {
  const outside = textColumns.find((column) => !isBounded(row, column))
  if (outside !== undefined) return `its ${outside} exceeds the bounds of a row`
  const sorted = [...new Set(row.marks)].sort()
  if (sorted.join() !== row.marks.join() || !sorted.every((one) => mark.test(one))) {
    return "its marks are not those of a recorder"
  }
  if (row.seq > maximumCount) return "its number is too large"
  const millis = millisOf(row.id)
  if (Math.abs(row.timestamp - millis) > timestampTolerance) return "its timestamp is not that of its id"
  if (millis > now + clockLead) return "its time is still to come"
  const members = membersOf(row)
  const reserved = ofGatekeeper.find((name) => Object.hasOwn(members, name))
  if (reserved !== undefined) return `its metadata has ${reserved}, which is reserved for the gatekeeper`
  return encodeCanonical(members, budget, rules).json === row.metadata
    ? undefined
    : "its metadata exceeds the bounds of a row, or is not canonical"
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const limitResult: AuditResult = "LIMITED"

/** The source that a loss receipt, or a count of limited failures, is about. */
export const sourceOfReceipt = (row: Pick<HashedRow, "result" | "resource">): string | undefined =>
  row.result === receiptResult || row.result === limitResult
    ? row.resource?.slice(sourceResource("").length)
    : undefined

/** The event that a withdrawal is about; undefined where it names none. */
export const withdrawnBy = ({ metadata }: Pick<HashedRow, "metadata">): AuditId | undefined => {
  const { audit_id: id } = membersOf({ metadata })
  return isAuditId(id) ? id : undefined
}

const isCount = (value: unknown): boolean =>
  Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= maximumCount

const receiptProblem = (row: HashedRow): string | undefined => {
  const { count, from_seq: from, kind, source, to_seq: to } = membersOf(row)
  const isTail = kind === "tail" && to === null && count === null && isCount(from)
  const isRange = ["shed", "gap", "quarantined"].includes(String(kind)) && [from, to, count].every(isCount)
  const isWhole = isRange && Number(from) <= Number(to) && Number(count) <= Number(to) - Number(from) + 1
  return typeof source === "string" && row.resource === sourceResource(source) && (isTail || isWhole)
    ? undefined
    : "it is not a loss receipt"
}

const contentProblem = (identity: string, row: HashedRow): string | undefined => {
  const { action, result } = row
  if (result === receiptResult) return action === receiptAction ? receiptProblem(row) : "only a receipt says LOST"
  if (result === limitResult) {
    const isCountOfSource = action === limitAction && uuid.test(sourceOfReceipt(row) ?? "")
    return isCountOfSource ? undefined : "only a count of a source says LIMITED"
  }
  if (!servicesOf(identity).some((service) => actions[service].test(action ?? ""))) {
    return `${identity} does not record the action ${JSON.stringify(action)}`
  }
  if (!results.includes(result)) return `${identity} does not record the result ${JSON.stringify(result)}`
  return result === "WITHDRAWN" && withdrawnBy(row) === undefined ? "its withdrawal names no event" : undefined
}

/**
 * Why a row that `identity` sent is not accepted; undefined where the recorder of that service could have made it. Whose source a receipt
 * is about, and whose event a withdrawal, only the database knows.
 */
export const rowProblem = (identity: string, row: HashedRow, now: number): string | undefined =>
  contentProblem(identity, row) ?? boundsProblem(row, now)
