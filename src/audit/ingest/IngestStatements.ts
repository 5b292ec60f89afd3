import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { AuditId } from "../encoding/AuditId.ts"
import { canonicalJson, type HashedRow } from "../encoding/AuditRow.ts"

/** Concurrent transactions get one source, because of the unique index. */
const makeSourceStatement = `
  insert into gatekeeper.audit_source (source, kind, identity, started_at) values ($1, 'ingest', $2, clock_timestamp())
  on conflict (identity) where kind = 'ingest' do nothing`

/** Locks the source until the transaction ends: batches of an identity run one by one, so keys and numbers are used once. */
const lockSourceStatement = `
  select source, last_seq from gatekeeper.audit_source where kind = 'ingest' and identity = $1 for update`

/** A dead letter that was replayed since counts as recorded. */
const knownStatement = `
  select client_id as "clientId", audit_id as "auditId", encode(digest, 'hex') as digest,
    dead_lettered and not exists (
      select from gatekeeper.audit_dead_letter_replay as replay
      where replay.event_id = audit_id and replay.outcome in ('replayed', 'present')
    ) as "deadLettered"
  from gatekeeper.audit_ingest where identity = $1 and client_id = any($2)`

const knownConflictsStatement = `
  select client_id as "clientId", audit_id as "auditId", encode(digest, 'hex') as digest, exists (
      select from gatekeeper.audit_dead_letter_replay as replay
      where replay.event_id = audit_id and replay.outcome in ('replayed', 'present')
    ) as "isReplayed"
  from gatekeeper.audit_ingest_conflict where identity = $1 and client_id = any($2)`

const keysStatement = `
  insert into gatekeeper.audit_ingest (identity, client_id, audit_id, digest, dead_lettered)
  select $1, client_id, audit_id, decode(digest, 'hex'), dead_lettered
  from json_to_recordset($2) as key (client_id text, audit_id uuid, digest text, dead_lettered boolean)`

const conflictsStatement = `
  insert into gatekeeper.audit_ingest_conflict (identity, client_id, digest, audit_id)
  select $1, client_id, decode(digest, 'hex'), audit_id
  from json_to_recordset($2) as key (client_id text, audit_id uuid, digest text)`

/** The ids are new, so none of them can be in the trail. */
const lettersStatement = `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  select event_id, decode(leaf_hash, 'hex'), source, seq, decode(body, 'hex'), '23505', reason, 1
  from json_to_recordset($1) as letter (event_id uuid, leaf_hash text, source uuid, seq bigint, body text, reason text)`

const Sources = Schema.Array(
  Schema.Struct({
    source: Schema.String,
    lastSeq: Schema.propertySignature(Schema.NumberFromString).pipe(Schema.fromKey("last_seq"))
  })
)

const Conflict = Schema.Struct({ clientId: Schema.String, auditId: AuditId, digest: Schema.String })

const KnownConflict = Schema.Struct({ ...Conflict.fields, isReplayed: Schema.Boolean })

const Key = Schema.Struct({ ...Conflict.fields, deadLettered: Schema.Boolean })

/** A recorded event and its key. */
export type IngestKey = typeof Key.Type
export type IngestConflict = typeof Conflict.Type
/** A conflict that is kept; `isReplayed` where it is in the trail by now. */
export type KnownConflict = IngestConflict & Partial<typeof KnownConflict.Type>

/** Locks the source of an identity until the transaction ends, and creates it if needed. Returns its last number. */
export const lockSource = Effect.fnUntraced(function* (connection: Connection, identity: string, fresh: string) {
  const find = queryRows(connection, Sources, lockSourceStatement, [identity])
  const [known] = yield* find
  if (known !== undefined) return known
  yield* connection.query(makeSourceStatement, [fresh, identity])
  const [made] = yield* find
  return made ?? (yield* Effect.dieMessage("the source of an ingest client does not exist although it was created"))
})

export const readKeys = (connection: Connection, identity: string, clientIds: ReadonlyArray<string>) =>
  queryRows(connection, Schema.Array(Key), knownStatement, [identity, clientIds])

export const readConflicts = (connection: Connection, identity: string, clientIds: ReadonlyArray<string>) =>
  queryRows(connection, Schema.Array(KnownConflict), knownConflictsStatement, [identity, clientIds])

const json = (keys: ReadonlyArray<IngestConflict & { readonly deadLettered?: boolean }>): string =>
  JSON.stringify(
    keys.map(({ auditId, clientId, deadLettered, digest }) => ({
      client_id: clientId,
      audit_id: auditId,
      digest,
      dead_lettered: deadLettered
    }))
  )

export const insertKeys = (connection: Connection, identity: string, keys: ReadonlyArray<IngestKey>) =>
  keys.length === 0 ? Effect.void : connection.query(keysStatement, [identity, json(keys)])

export const insertConflicts = (connection: Connection, identity: string, conflicts: ReadonlyArray<IngestConflict>) =>
  conflicts.length === 0 ? Effect.void : connection.query(conflictsStatement, [identity, json(conflicts)])

/** Writes conflicting events as dead letters, in one message, because a batch may consist of them. */
export const insertLetters = (
  connection: Connection,
  identity: string,
  letters: ReadonlyArray<{ readonly row: HashedRow; readonly key: IngestConflict }>
) => {
  if (letters.length === 0) return Effect.void
  const rows = letters.map(({ key, row }) => ({
    event_id: row.id,
    leaf_hash: row.leafHash,
    source: row.source,
    seq: row.seq,
    body: Buffer.from(canonicalJson(row)).toString("hex"),
    reason: `the client ${identity} sent another event under the key of an earlier event: ${key.clientId}`
  }))
  return connection.query(lettersStatement, [JSON.stringify(rows)])
}
