import type * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLedger } from "../sources/AuditLedger.ts"
import { TrailUnreachable } from "../store/TrailUnreachable.ts"
import * as RemoteCalls from "./RemoteCalls.ts"
import { ledgerOperations, type Operation } from "./TrailProtocol.ts"

const deadline = Duration.seconds(8)
/** A search for gaps may take six times as long at the other end too. */
const longDeadline = Duration.seconds(35)

/** An `AuditLedger` that asks a gatekeeper. It returns all sources, but only silent sources of the caller's identity. */
export const make = Effect.fnUntraced(function* (options: RemoteCalls.RemoteOptions) {
  const calls = yield* RemoteCalls.make(options)
  const ask = <A, I, B, J, G>(
    name: string,
    operation: Operation<A, I, B, J, TrailUnreachable, G>,
    request: A,
    within = deadline
  ) =>
    calls
      .ask(name, operation, request, within)
      .pipe(Effect.catchTag("DatabaseError", ({ reason }) => Effect.fail(new TrailUnreachable({ reason }))))
  const { gaps, receipts, silent, source, sources } = ledgerOperations
  return AuditLedger.of({
    sources: ({ after, limit }) => ask("sources", sources, { limit, ...(after === undefined ? {} : { after }) }),
    source: (id) => Effect.map(ask("source", source, { source: id }), (row) => row ?? undefined),
    gaps: (id, query) => ask("gaps", gaps, { source: id, ...query }, longDeadline),
    silent: (olderThan) => ask("silent", silent, { seconds: Duration.toSeconds(olderThan) }),
    receipts: (id) => ask("receipts", receipts, { source: id }),
    deadLetters: ask("dead-letters", ledgerOperations["dead-letters"], {})
  })
})

export const layer = (options: RemoteCalls.RemoteOptions): Layer.Layer<AuditLedger, never, HttpClient.HttpClient> =>
  Layer.effect(AuditLedger, make(options))
