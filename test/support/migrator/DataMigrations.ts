import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { write } from "./Fixture.ts"

const root = fileURLToPath(new URL("../../../.gravitas", import.meta.url))

/**
 * A folder of migrations below the project's own, so that data revisions in it can import what theirs import; removed when
 * the scope closes. Below .gravitas, which nothing reads and git ignores.
 */
export const dataMigrationsOf = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await mkdir(root, { recursive: true })
      return mkdtemp(join(root, "test-migrations-"))
    }),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  ).pipe(Effect.tap((path) => write(path, files)))

/** The text of a data revision: `up` and `down` (or `irreversible`) are the fields of the object it exports. */
export const dataRevision = (fields: string, marker = "") => `${marker}
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { inBatches, untilNoRowIsLeft } from "../../../src/migrator/files/Batches.ts"
import { dataRevision } from "../../../src/migrator/files/DataRevision.ts"

const sql = SqlClient.SqlClient
void [Option, Schema, inBatches, untilNoRowIsLeft]

export default dataRevision({
${fields}
})
`
