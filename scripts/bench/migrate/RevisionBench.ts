import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import type * as Redacted from "effect/Redacted"
import { databaseOn } from "../../../test/support/BenchDatabase.ts"
import { median, medianRatio } from "../../../test/support/Samples.ts"
import { fixed, line } from "../../../test/support/Table.ts"
import { progress } from "../Progress.ts"
import {
  files,
  revisions,
  tablesIn,
  withEffectSql,
  withGravitas,
  withNodePgMigrate,
  withPostgrator,
  withUmzug
} from "./Rivals.ts"

/** Applying the same revisions to a new database, each peer in turns. */
export const revisionBench = (server: Redacted.Redacted, rounds: number) =>
  Effect.gen(function* () {
    const { ours, postgrators, theirs } = yield* files
    const peers = {
      gravitas: (fresh: Redacted.Redacted) => withGravitas(fresh, ours),
      "@effect/sql-pg": withEffectSql,
      "node-pg-migrate": (fresh: Redacted.Redacted) => withNodePgMigrate(fresh, theirs, true),
      "node-pg-migrate, a transaction each": (fresh: Redacted.Redacted) => withNodePgMigrate(fresh, theirs, false),
      umzug: withUmzug,
      postgrator: (fresh: Redacted.Redacted) => withPostgrator(fresh, postgrators)
    }
    const taken = Record.map(peers, () => [] as number[])
    for (let round = 0; round <= rounds; round++) {
      yield* progress(`migrations, round ${round} of ${rounds}`)
      for (const [peer, run] of Record.toEntries(peers)) {
        const took = yield* Effect.scoped(
          Effect.flatMap(databaseOn(server), (fresh) =>
            Effect.tap(run(fresh), () =>
              Effect.map(tablesIn(fresh), (tables) => {
                if (tables !== revisions) throw new Error(`${peer} made ${tables} tables instead of ${revisions}`)
              })
            )
          )
        )
        // The first round compiles the code.
        if (round > 0) taken[peer].push(took)
      }
    }
    const { gravitas, ...others } = taken
    return {
      /** Milliseconds. */
      perRevision: Record.map(taken, (all) => median(all) / revisions),
      /** Ours to theirs, round by round. */
      ratios: Record.map(others, (all) => medianRatio(gravitas, all))
    }
  }).pipe(Effect.scoped)

export type RevisionReport = Effect.Effect.Success<ReturnType<typeof revisionBench>>

export const revisionTable = ({ perRevision, ratios }: RevisionReport): ReadonlyArray<string> => [
  line(`milliseconds per revision, of ${revisions}`, ["median", "ours/theirs"]),
  line("gravitas", [fixed(2)(perRevision.gravitas)]),
  ...Record.toEntries(ratios).map(([peer, ratio]) => line(peer, [fixed(2)(perRevision[peer]), fixed(2)(ratio)])),
  "",
  "@effect/sql-pg, and node-pg-migrate by default, commit once for all revisions; gravitas commits each with its history.",
  "umzug and postgrator commit a revision and its history one after the other."
]
