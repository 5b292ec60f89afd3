import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { canonicalJson, columnList, type HashedRow, makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { copyLine } from "../../../src/audit/store/AuditWrites.ts"
import type { Connection } from "../../../src/platform/postgres/Connection.ts"
import { event } from "../../../test/support/BenchEvents.ts"
import { batch } from "../../../test/support/BenchTrail.ts"

const nextId = makeUuidV7((bytes) => Crypto.randomFillSync(bytes))

const makeRows = (number: number): ReadonlyArray<HashedRow> => {
  const source = Crypto.randomUUID()
  return Array.from({ length: number }, (_, index) => {
    const timestamp = Date.now()
    return makeRow(encodeEvent(event), { id: nextId(timestamp), timestamp, source, seq: index + 1 })
  })
}

/** Rows per second of COPY, `batch` rows in each transaction; the text is made beforehand. */
export const copyRate = (connection: Connection, number: number) =>
  Effect.gen(function* () {
    const rows = makeRows(number)
    const texts = Array.from({ length: Math.ceil(number / batch) }, (_, index) =>
      rows
        .slice(index * batch, (index + 1) * batch)
        .map(copyLine)
        .join("")
    )
    const [took] = yield* Effect.timed(
      Effect.forEach(texts, (text) => connection.copyIn(`copy gatekeeper.audit_log (${columnList}) from stdin`, text))
    )
    return number / Duration.toSeconds(took)
  })

const insertOne =
  `insert into gatekeeper.audit_log (${columnList}) ` +
  "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, decode($14, 'hex'))"

const valuesOf = (row: HashedRow): ReadonlyArray<unknown> => [
  row.id,
  new Date(row.timestamp),
  row.source,
  row.seq,
  row.ghostId,
  row.shellId,
  row.action,
  row.resource,
  row.result,
  row.reason,
  row.requestId,
  row.metadata,
  row.marks,
  row.leafHash
]

/** Rows per second of one INSERT per event, each its own transaction. */
export const singleRate = (connection: Connection, number: number) =>
  Effect.gen(function* () {
    const rows = makeRows(number)
    const [took] = yield* Effect.timed(Effect.forEach(rows, (row) => connection.query(insertOne, valuesOf(row))))
    return number / Duration.toSeconds(took)
  })

/** An object whose `JSON.stringify` is the text that the journal holds of an event. */
const plainEvent: unknown = JSON.parse(makeRows(1).map(canonicalJson).join())

/** Characters, and bytes, of the event's canonical JSON. */
export const eventBytes = JSON.stringify(plainEvent).length

export const stringify = (): string => JSON.stringify(plainEvent)

/** The least that keeping an event in a file costs; the file is beside the journals. */
export interface PlainFile {
  readonly append: () => void
  readonly appendAndSync: Effect.Effect<void>
}

export const plainFile = (home: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = Path.join(home, `plain-${Crypto.randomUUID()}`)
      return { path, fd: Fs.openSync(path, "ax", 0o600) }
    }),
    ({ fd, path }) =>
      Effect.sync(() => {
        Fs.closeSync(fd)
        Fs.unlinkSync(path)
      })
  ).pipe(
    Effect.map(({ fd }): PlainFile => {
      const append = () => {
        Fs.writeSync(fd, stringify())
      }
      return {
        append,
        appendAndSync: Effect.async((resume) => {
          append()
          Fs.fdatasync(fd, (error) => resume(error === null ? Effect.void : Effect.die(error)))
        })
      }
    })
  )
