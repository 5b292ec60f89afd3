import * as Effect from "effect/Effect"
import { list } from "../journal/OrphanedJournal.ts"
import type { JournalFacts } from "./JournalFacts.ts"
import { factsOf } from "./JournalReading.ts"
import type { JournalSight } from "./JournalSight.ts"

const seen = (
  source: string,
  { bytes, holder, identity, path, pending, quarantined, segments, state }: JournalFacts
) => {
  const last = segments.reduce((last, { lastSeq }) => Math.max(last, lastSeq ?? 0), 0)
  const sight: JournalSight = {
    path,
    source,
    holder,
    living: identity !== null && holder?.startsWith(`process ${identity.pid} on ${identity.host},`) === true,
    identity,
    lastSeq: Math.max(state?.lastSeq ?? 0, last),
    refused: state?.refused ?? 0,
    shed: state?.shed ?? 0,
    pending,
    bytes,
    quarantined,
    problem: identity === null ? "neither its state nor the header of a segment can be read" : null
  }
  return sight
}

const unread = (path: string, source: string, problem: string): JournalSight => ({
  path,
  source,
  holder: null,
  living: false,
  identity: null,
  lastSeq: 0,
  refused: 0,
  shed: 0,
  pending: [],
  bytes: 0,
  quarantined: 0,
  problem
})

const look = ({ path, source }: { readonly path: string; readonly source: string }) =>
  factsOf(path).pipe(
    Effect.map((facts) => seen(source, facts)),
    Effect.catchAll(({ message }) => Effect.succeed(unread(path, source, message)))
  )

/** A look at each journal in a directory, those of living processes too; none where there is no such directory. */
export const sightsIn = (directory: string): Effect.Effect<ReadonlyArray<JournalSight>> =>
  Effect.flatMap(list(directory), (journals) => Effect.forEach(journals, look))
