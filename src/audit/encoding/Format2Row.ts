import * as Crypto from "node:crypto"
import { type EncodedEvent, type Identity, isoTime } from "./AuditRow.ts"

/** Where a request came from. Absent members are undefined. */
export interface EventClient {
  readonly address?: string
  readonly agent?: string
}

/**
 * A row of event format 2. Its digest covers an open part and two closed groups, *who* and *metadata*. Each group is committed with
 * a salt of its own, so that a group can be withheld or erased while the digest still verifies.
 */
export interface Format2Row extends EncodedEvent, Identity {
  /** 64 hexadecimal digits: 16 bytes for *who*, then 16 bytes for *metadata*. */
  readonly salt: string
  readonly policyVersion: string | null
  readonly rule: string | null
  readonly traceId: string | null
  /** The identity whose source the row came from. */
  readonly identity: string | null
  readonly askedBy: string | null
  readonly client: EventClient | null
}

/** The part of a row that stays when both closed groups are erased. */
export type OpenPart = Pick<Format2Row, "id" | "marks" | "policyVersion" | "result" | "seq" | "source" | "timestamp">

/** The commitments to the closed groups, in hexadecimal. `metadata` is undefined where the row has no metadata. */
export interface ClosedGroups {
  readonly who: string
  readonly metadata: string | undefined
}

type Member = readonly [name: string, json: string | undefined]

const textJson = (value: string | null | undefined): string | undefined =>
  value === null || value === undefined ? undefined : JSON.stringify(value)

/** Writes an object. The members are given in ascending order of their names; undefined ones are left out. */
const objectOf = (members: ReadonlyArray<Member>): string => {
  let json = ""
  for (const [name, value] of members) {
    if (value !== undefined) json += `${json === "" ? "" : ","}"${name}":${value}`
  }
  return `{${json}}`
}

const clientJson = (client: EventClient | null): string | undefined => {
  const json =
    client === null
      ? "{}"
      : objectOf([
          ["address", textJson(client.address)],
          ["agent", textJson(client.agent)]
        ])
  return json === "{}" ? undefined : json
}

const marksJson = (marks: ReadonlyArray<string>): string | undefined =>
  marks.length === 0 ? undefined : JSON.stringify(marks)

const metadataJson = (metadata: string): string | undefined => (metadata === "{}" ? undefined : metadata)

/** Writes the closed group *who* as canonical JSON (RFC 8785). */
export const whoJson = (row: Format2Row): string =>
  objectOf([
    ["action", textJson(row.action)],
    ["asked_by", textJson(row.askedBy)],
    ["client", clientJson(row.client)],
    ["ghost_id", textJson(row.ghostId)],
    ["identity", textJson(row.identity)],
    ["reason", textJson(row.reason)],
    ["request_id", textJson(row.requestId)],
    ["resource", textJson(row.resource)],
    ["rule", textJson(row.rule)],
    ["shell_id", textJson(row.shellId)],
    ["trace_id", textJson(row.traceId)]
  ])

/** Writes the open part, with the commitments to the closed groups, as canonical JSON. */
export const openJson = (row: OpenPart, closed: ClosedGroups): string =>
  objectOf([
    ["closed_meta", textJson(closed.metadata)],
    ["closed_who", textJson(closed.who)],
    ["id", textJson(row.id)],
    ["marks", marksJson(row.marks)],
    ["policy_version", textJson(row.policyVersion)],
    ["result", textJson(row.result)],
    ["seq", String(row.seq)],
    ["source", textJson(row.source)],
    ["timestamp", textJson(isoTime(row.timestamp))],
    ["v", "2"]
  ])

/** Writes the whole row, with its salt, as one flat canonical text: the form for journals, dead letters and the wire. */
export const format2Json = (row: Format2Row): string =>
  objectOf([
    ["action", textJson(row.action)],
    ["asked_by", textJson(row.askedBy)],
    ["client", clientJson(row.client)],
    ["ghost_id", textJson(row.ghostId)],
    ["id", textJson(row.id)],
    ["identity", textJson(row.identity)],
    ["marks", marksJson(row.marks)],
    ["metadata", metadataJson(row.metadata)],
    ["policy_version", textJson(row.policyVersion)],
    ["reason", textJson(row.reason)],
    ["request_id", textJson(row.requestId)],
    ["resource", textJson(row.resource)],
    ["result", textJson(row.result)],
    ["rule", textJson(row.rule)],
    ["salt", textJson(row.salt)],
    ["seq", String(row.seq)],
    ["shell_id", textJson(row.shellId)],
    ["source", textJson(row.source)],
    ["timestamp", textJson(isoTime(row.timestamp))],
    ["trace_id", textJson(row.traceId)],
    ["v", "2"]
  ])

const commitment = (salt: string, json: string): string =>
  Crypto.createHash("sha256").update(salt, "hex").update(json, "utf8").digest("hex")

/** Commits to the closed groups of a row, each with its half of the salt. */
export const closedGroups = (row: Format2Row): ClosedGroups => {
  const metadata = metadataJson(row.metadata)
  return {
    who: commitment(row.salt.slice(0, 32), whoJson(row)),
    metadata: metadata === undefined ? undefined : commitment(row.salt.slice(32), metadata)
  }
}

/** Returns the digest of a row whose closed groups are known by their commitments only, in hexadecimal. */
export const openDigest = (row: OpenPart, closed: ClosedGroups): string =>
  Crypto.hash("sha256", openJson(row, closed), "hex")

/** Returns the digest of a row of format 2: the SHA-256 of its open part, in hexadecimal. */
export const format2Digest = (row: Format2Row): string => openDigest(row, closedGroups(row))
