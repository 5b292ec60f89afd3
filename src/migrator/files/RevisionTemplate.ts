import type { ServiceName } from "../../domain/Service.ts"

/** Turns a title into a slug: `Add a reason!` -> `add_a_reason`; null if no letter or digit is left. */
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
 * The text of a new SQL revision. It explains each marker and has no statement yet, so that `check` refuses it until it is
 * written.
 */
export const sqlTemplate = (service: ServiceName, title: string): string => `-- ${title}
--
-- Why, and what a reader should know about the tables below. Name everything with its schema: ${service}.<table>.
-- A down that cannot restore the rows is still a down. If there is none, replace its marker by one that says why:
--   migrate:irreversible <reason>  (as a comment, like the markers here).
--
-- Options, after the marker: phase:contract (removes something that the running version needs; default expand),
-- transaction:false (create index concurrently; one statement at a time), lock_timeout:5s (default 2s),
-- statement_timeout:10m (default none).

-- migrate:up

-- migrate:down

`

/** The text of a new data revision in TypeScript, for work on rows. */
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
 * Each batch commits by itself and is recorded, so that a run after an interruption continues from there. Name every table with
 * its schema. Without transaction:false above, everything is one transaction; then do not use batches.
 */
export default dataRevision({
  up: untilNoRowIsLeft({
    name: "rows",
    batch: Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      // Change some of the rows that are left, and return their number: 0 ends the work.
      const changed = yield* sql\`update ${service}.todo set done = true
        where id in (select id from ${service}.todo where not done order by id limit 1000) returning id\`
      return changed.length
    })
  }),
  // Or a down that reverts it: an Effect like up.
  irreversible: "say why it cannot be reverted"
})
`
