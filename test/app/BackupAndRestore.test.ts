import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { shellBlocks } from "../../scripts/docs/ShellBlocks.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { auditCommandLine } from "../support/AuditCommandLine.ts"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { copyOfDatabase, migratedDatabase } from "../support/TestDatabase.ts"

/** The words of `gravitas trail <name>` as the chapter says to type them. */
const typed = (name: "fork" | "accept-restore"): ReadonlyArray<string> => {
  const page = "docs/operations.md"
  // Blocks of a list are indented.
  const text = Fs.readFileSync(Path.join(project, page), "utf8").replaceAll(/^ {3}/gm, "")
  const line = shellBlocks(page, text)
    .map(({ script }) => script)
    .find((script) => script.startsWith(`pnpm -s gravitas trail ${name} `))
  return [...(line ?? "").matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "").slice(3)
}

const start = (home: string, url: Redacted.Redacted) =>
  program({
    args: ["gatekeeper"],
    environment: { GRAVITAS_HOME: home, DATABASE_URL: Redacted.value(url), JWT_SECRET_KEY: signingSecret }
  })

const trailOf = (url: Redacted.Redacted) =>
  Effect.map(rowsOf(url, "select id from gatekeeper.audit_trail"), ([row]) => String(row?.["id"]))

const waiting = 5

const decisionsIn = (url: Redacted.Redacted) =>
  Effect.map(
    rowsOf(url, "select count(*)::integer as count from gatekeeper.audit_log where resource = 'vaults/waits'"),
    ([row]) => row?.["count"]
  )

/** A home whose gatekeeper was killed while the table took no rows: its journal has events that are nowhere else. */
const homeWithWaitingEvents = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const running = yield* start(home, url)
    const gatekeeper = yield* running.url("gatekeeper")
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const locking = yield* connect({ url, applicationName: "a lock" })
        yield* locking.query("begin; lock table gatekeeper.audit_log in access exclusive mode")
        for (let n = 0; n < waiting; n++) {
          const asked = { token, body: { action: "read", resource: "vaults/waits" } }
          expect((yield* request(`${gatekeeper}/validate`, asked)).status).toBe(200)
        }
        yield* running.signal("SIGKILL")
        yield* running.ended()
      })
    )
    return home
  })

const journalsOf = (home: string) =>
  Fs.readdirSync(Path.join(home, "journal")).filter((name) => /^[0-9a-f-]{36}$/.test(name))

describe("docs/operations.md, Backup and restore", () => {
  it.scopedLive(
    "a copy gets nothing from a home of the original, until it is said to replace it; a fork has an id of its own",
    () =>
      Effect.gen(function* () {
        const original = yield* migratedDatabase
        const home = yield* homeWithWaitingEvents(original)
        const [restored, drill] = [yield* copyOfDatabase(original), yield* copyOfDatabase(original)]
        const trail = yield* trailOf(original)

        const refused = yield* start(home, restored)
        const { code } = yield* refused.ended("60 seconds")
        expect(code).not.toBe(0)
        for (const words of [trail, "is a copy of the one", "trail accept-restore", "trail fork", "DATABASE_URL"]) {
          expect(refused.output()).toContain(words)
        }
        expect(journalsOf(home)).toHaveLength(1)
        expect(yield* rowsOf(restored, "select from gatekeeper.audit_log")).toEqual([])

        const [fork, acceptRestore] = [typed("fork"), typed("accept-restore")]
        const atOriginal = auditCommandLine({ url: original, home })
        expect(yield* atOriginal(...fork)).toMatchObject({ code: 10, stderr: expect.stringContaining("the original") })
        expect(yield* atOriginal(...acceptRestore)).toMatchObject({
          code: 10,
          stderr: expect.stringContaining("nothing to accept")
        })
        expect(yield* trailOf(original)).toBe(trail)

        const ownHome = yield* temporaryHome
        const forked = yield* auditCommandLine({ url: drill, home: ownHome })(...fork)
        expect(forked).toMatchObject({ code: 0, stdout: expect.stringContaining(`This copy of the trail ${trail}`) })
        const fresh = yield* trailOf(drill)
        expect(fresh).not.toBe(trail)
        expect(
          yield* rowsOf(drill, "select action, resource, result, reason, metadata from gatekeeper.audit_log")
        ).toEqual([
          {
            action: "audit/fork",
            resource: `audit/trails/${fresh}`,
            result: "REPORTED",
            reason: expect.stringContaining("a copy of the backup of 03:00 for a drill"),
            metadata: expect.objectContaining({ kind: "fork", former_trail: trail })
          }
        ])
        const protectedAgain = yield* Effect.either(
          Effect.scoped(
            Effect.flatMap(connect({ url: drill, applicationName: "a change" }), (connection) =>
              connection.query("update gatekeeper.audit_trail set id = gen_random_uuid()")
            )
          )
        )
        expect(protectedAgain._tag).toBe("Left")

        const accepted = yield* auditCommandLine({ url: restored, home })(...acceptRestore)
        expect(accepted).toMatchObject({ code: 0, stdout: expect.stringContaining(trail) })
        const after = yield* start(home, restored)
        yield* after.url("gatekeeper")
        yield* eventually(decisionsIn(restored), (count) => count === waiting)
        yield* after.signal("SIGTERM")
        expect((yield* after.ended()).code).toBe(0)
        expect(yield* decisionsIn(original)).toBe(0)
        expect(yield* rowsOf(restored, "select from gatekeeper.audit_log where action = 'audit/restore'")).toHaveLength(
          1
        )
      }),
    120_000
  )
})
