import { createHash } from "node:crypto"
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { checkoutCopy, run } from "../support/Checkout.ts"
import { rowsOf, signingSecret } from "../support/Gravitas.ts"
import { fromBuild, fromSources, program } from "../support/Program.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

/** A data revision that uses all kinds of imports: packages in the library, another one, Node, and the project. */
const revision = `// migrate:up transaction:false
import * as Fs from "node:fs"
import * as SqlClient from "@effect/sql/SqlClient"
import { Option } from "effect"
import * as Effect from "effect/Effect"
import { base64url } from "jose"
import { serviceNames } from "../../src/domain/Service.ts"
import { untilNoRowIsLeft } from "../../src/migrator/files/Batches.ts"
import { dataRevision } from "../../src/migrator/files/DataRevision.ts"

const note: string = await Promise.resolve([
  Fs.existsSync(import.meta.filename), Option.isSome(Option.some(1)), base64url.encode("x"), serviceNames.length
].join(" "))

export default dataRevision({
  up: untilNoRowIsLeft({
    name: "rows",
    batch: Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql\`create table if not exists router.made (note text)\`
      yield* sql\`create table if not exists router.todo as select 1 as id, false as done\`
      const made = yield* sql\`
        insert into router.made select \${note} where (select count(*) from router.made) < 3 returning note\`
      return made.length
    })
  }),
  irreversible: "a test"
})
`

/** What `migrate new` wrote when the migrator's modules had other paths: an applied revision that must stay as it is. */
const formerRevision = `// migrate:up transaction:false
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { untilNoRowIsLeft } from "../../src/migrator/revision/Batches.ts"
import { dataRevision } from "../../src/migrator/revision/DataRevision.ts"

/**
 * Former.
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
      const changed = yield* sql\`update router.todo set done = true
        where id in (select id from router.todo where not done order by id limit 1000) returning id\`
      return changed.length
    })
  }),
  // Or a down that undoes it: an Effect like up.
  irreversible: "say why there is no way back"
})
`

const checksums = `select revision, up_checksum from router.schema_history order by revision`

describe("the built program", () => {
  it.scopedLive(
    "compiles .ts revisions in memory, also those that import former paths, also moved without its sources, and stops at SIGTERM",
    () =>
      Effect.gen(function* () {
        const checkout = yield* checkoutCopy
        const router = join(checkout, "migrations/router")
        const count = readdirSync(router).length
        const [number = "", next = ""] = [count + 1, count + 2].map((one) => String(one).padStart(4, "0"))
        writeFileSync(join(router, `${number}_made.ts`), revision)
        writeFileSync(join(router, `${next}_former.ts`), formerRevision)
        const databases = [yield* freshDatabase, yield* freshDatabase, yield* freshDatabase] as const
        const migrate = (start: ReadonlyArray<string>, url: Redacted.Redacted, ...words: ReadonlyArray<string>) =>
          run([...start, "migrate", ...words], {
            directory: join(checkout, ".."),
            environment: { DATABASE_URL: Redacted.value(url) }
          })

        const inPlace = fromBuild(checkout)
        expect(yield* migrate(inPlace, databases[0], "upgrade")).toMatchObject({ code: 0 })
        const made = yield* rowsOf(databases[0], "select note from router.made")
        expect(made).toEqual(Array.from({ length: 3 }, () => ({ note: "true true eA 3" })))
        expect(yield* rowsOf(databases[0], "select done from router.todo")).toEqual([{ done: true }])
        const sources = [...fromSources, join(checkout, "src/main.ts")]
        expect(yield* migrate(sources, databases[2], "upgrade")).toMatchObject({ code: 0 })
        expect(yield* rowsOf(databases[2], "select done from router.todo")).toEqual([{ done: true }])
        const fresh = yield* migrate(inPlace, databases[0], "new", "Another", "--service", "guardian")
        expect(fresh).toMatchObject({ code: 0, stdout: expect.stringMatching(/^checkout\/migrations\/guardian\//) })
        rmSync(join(checkout, "..", fresh.stdout.trim()))

        const running = yield* program({
          command: [...inPlace, "router"],
          environment: { DATABASE_URL: Redacted.value(databases[0]), JWT_SECRET_KEY: signingSecret }
        })
        yield* running.url("router")
        yield* running.signal("SIGTERM")
        expect(yield* running.ended()).toEqual({ code: 0, signal: null })

        const moved = join(checkout, "../moved")
        renameSync(join(checkout, "dist"), moved)
        rmSync(checkout, { recursive: true })
        const elsewhere = [process.execPath, join(moved, "main.mjs")]
        expect(yield* migrate(elsewhere, databases[1], "upgrade")).toMatchObject({ code: 0 })
        expect(yield* rowsOf(databases[1], "select note from router.made")).toEqual(made)
        expect(yield* migrate(elsewhere, databases[1], "verify")).toMatchObject({ code: 0 })

        // The checksum is that of the source.
        const applied = yield* rowsOf(databases[1], checksums)
        expect(applied).toEqual(yield* rowsOf(databases[0], checksums))
        const digests = [revision, formerRevision].map((text) => createHash("sha256").update(text).digest("hex"))
        for (const [index, digest] of digests.entries()) {
          expect(JSON.stringify(applied.at(index - 2))).toContain(digest)
        }

        expect(yield* migrate(elsewhere, databases[1], "new", "Another", "--service", "guardian")).toMatchObject({
          code: 10,
          stderr: expect.stringContaining("belongs to a build")
        })
        const [build = ""] = readdirSync(moved).filter((name) => !name.endsWith(".mjs"))
        const copy = join(moved, build, "migrations/router", `${number}_made.ts`)
        writeFileSync(copy, readFileSync(copy, "utf8").replace('"jose"', '"not-there"'))
        expect(yield* migrate(elsewhere, databases[1], "check")).toMatchObject({
          code: 5,
          stderr: expect.stringContaining('Could not resolve "not-there", line 6')
        })
      }),
    300_000
  )
})
