import type { ServiceName } from "../../domain/Service.ts"

/** `Add a reason!` -> `add_a_reason`; null where nothing is left. */
export const slugOf = (title: string): string | null => {
  const words = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{Mark}/gu, "")
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")
  return words.length === 0 ? null : words.join("_").slice(0, 60).replace(/_+$/, "")
}

/**
 * What a new revision begins as. It says what each marker is for, and has no statement yet, so that `check` refuses it
 * until it is written.
 */
export const sqlTemplate = (service: ServiceName, title: string): string => `-- ${title}
--
-- Why, and what a reader should know about the tables below. Name everything with its schema: ${service}.<table>.
-- A down that cannot bring the rows back is still a down; where there is none, put in its place a line of its own that says
-- why:  migrate:irreversible <reason>  (as a comment, like the markers here).
--
-- Options, after the marker: phase:contract (takes something away from the version that runs now; default expand),
-- transaction:false (create index concurrently; one statement at a time), lock_timeout:5s (default 2s),
-- statement_timeout:10m (default none).

-- migrate:up

-- migrate:down

`

/** The same for a revision that works on rows, in TypeScript. */
export const dataTemplate = (
  service: ServiceName,
  title: string,
  imports: string
): string => `// migrate:up transaction:false
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { untilNoRowIsLeft } from "${imports}/Batches.ts"
import { dataRevision } from "${imports}/DataRevision.ts"

/**
 * ${title}.
 *
 * Each batch commits by itself and is recorded, so that a run that was cut off goes on where it was. Name every table with
 * its schema. Without transaction:false above, all of it is one transaction: then don't use batches.
 */
export default dataRevision({
  up: untilNoRowIsLeft({
    name: "rows",
    batch: Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      // Change some rows that are still to do, and answer how many they were: 0 ends the work.
      const changed = yield* sql\`update ${service}.todo set done = true
        where id in (select id from ${service}.todo where not done order by id limit 1000) returning id\`
      return changed.length
    })
  }),
  // Or a down that undoes it: an Effect like up.
  irreversible: "say why there is no way back"
})
`
