import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program, project } from "../support/Program.ts"
import { testPostgres } from "../support/TestPostgres.ts"

/** Everything that the gatekeeper's role must not be able to do, of which most would hide a decision. */
const forbidden = [
  "update gatekeeper.audit_log set reason = 'nothing happened'",
  "delete from gatekeeper.audit_log",
  "truncate gatekeeper.audit_log",
  "update only gatekeeper.<partition> set reason = 'nothing happened'",
  "delete from gatekeeper.<partition>",
  "truncate gatekeeper.<partition>",
  "drop table gatekeeper.<partition>",
  "alter table gatekeeper.audit_log detach partition gatekeeper.<partition>",
  "drop trigger audit_log_append_only on gatekeeper.audit_log",
  "drop trigger audit_log_partition_no_truncate on gatekeeper.<partition>",
  "alter table gatekeeper.audit_log disable trigger all",
  "set session_replication_role = replica",
  "create or replace function gatekeeper.audit_refuse_change() returns trigger language plpgsql as 'begin return null; end'",
  "select gatekeeper.audit_make_month('2001-01-01')",
  "delete from gatekeeper.audit_source",
  "delete from gatekeeper.audit_dead_letter",
  "update gatekeeper.audit_dead_letter_replay set outcome = 'replayed'",
  "truncate gatekeeper.audit_dead_letter_replay",
  "insert into gatekeeper.audit_trail default values",
  "insert into gatekeeper.schema_history (revision, slug) values (9, 'x')",
  "delete from gatekeeper.schema_history",
  "update gatekeeper.schema_history set up_checksum = 'x'",
  "insert into gatekeeper.schema_event (event, app_version, tool_version) values ('applied', 'x', 1)",
  "create table gatekeeper.mine ()",
  "create table public.mine ()",
  "create schema mine",
  "set role gravitas_owner",
  "select from guardian.certificate",
  "select from guardian.schema_version",
  "select from router.history"
]

/** The triggers hold the owner too, as long as it does not take them away. */
const refusedToTheOwner = [
  "update gatekeeper.audit_log set reason = 'nothing happened'",
  "delete from gatekeeper.<partition>",
  "truncate gatekeeper.audit_log",
  "truncate gatekeeper.<partition>"
]

describe("an owner role that migrates, and a role per service", () => {
  it.scopedLive(
    "run the whole program; the gatekeeper's role can add to its trail and do nothing else anywhere",
    () =>
      Effect.gen(function* () {
        const { url } = yield* testPostgres()
        const as = (role: string) => {
          const changed = new URL(Redacted.value(url))
          changed.username = role
          changed.password = `${role}-password`
          return changed.href
        }
        yield* rowsOf(url, yield* Effect.promise(() => readFile(join(project, "docs/roles.sql"), "utf8")))
        yield* rowsOf(url, "alter role gravitas_owner login password 'gravitas_owner-password'")
        const services = ["gatekeeper", "guardian", "router"]
        for (const service of services) {
          yield* rowsOf(url, `create role ${service}_app login password '${service}_app-password'`)
        }
        const urls = Object.fromEntries(
          services.map((service) => [`${service.toUpperCase()}_DATABASE_URL`, as(`${service}_app`)])
        )
        const environment = { JWT_SECRET_KEY: signingSecret, ...urls }
        const migrating = { ...environment, MIGRATION_DATABASE_URL: as("gravitas_owner") }

        // roles.sql has made the schemas, which the services may not enter, and nothing is migrated.
        const early = yield* program({
          environment: { ...environment, MIGRATE_ON_START: "verify" },
          args: ["gatekeeper"]
        })
        expect((yield* early.ended()).code).toBe(3)
        expect(early.stderr()).toMatch(
          /^gravitas: gatekeeper: the schema at .* is not migrated yet: .* pnpm migrate --service gatekeeper upgrade; then start again\n$/
        )

        // The roles are no members yet: what each lacks is told, and no port opens.
        const lacking = yield* program({ environment: migrating, args: ["gatekeeper"] })
        expect((yield* lacking.ended()).code).toBe(9)
        expect(lacking.stderr()).toContain("grant usage on schema gatekeeper to gatekeeper_app")
        yield* rowsOf(url, "grant usage on schema gatekeeper to gatekeeper_app")
        const still = yield* program({ environment: migrating, args: ["gatekeeper"] })
        expect((yield* still.ended()).code).toBe(9)
        expect(still.stderr()).toContain("  grant insert, select on gatekeeper.audit_log to gatekeeper_app;\n")
        expect(still.stderr()).toContain("grant gravitas_gatekeeper to gatekeeper_app")
        expect(still.output()).not.toContain("-password")
        yield* rowsOf(url, "revoke usage on schema gatekeeper from gatekeeper_app")
        for (const service of services) yield* rowsOf(url, `grant gravitas_${service} to ${service}_app`)

        const running = yield* program({ environment: migrating })
        const token = yield* Effect.promise(() => tokenOf("Librarian"))
        const gatekeeper = yield* running.url("gatekeeper")
        const answer = yield* request(`${gatekeeper}/validate`, {
          token,
          body: { action: "read", resource: "vaults/public" }
        })
        expect(answer.status).toBe(200)
        const where = "select tableoid::regclass::text as partition from gatekeeper.audit_log where id = $1"
        yield* rowsOf(url, where, [answer.body["audit_id"]]).pipe(
          Effect.repeat({ until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") }),
          Effect.timeout("20 seconds"),
          Effect.orDieWith(() => new Error(`no row came:\n${running.output()}`))
        )
        const [row] = yield* rowsOf(url, where, [answer.body["audit_id"]])
        for (const service of services) {
          expect((yield* request(`${yield* running.url(service)}/readyz`)).status).toBe(200)
        }
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)

        const partition = String(row?.["partition"]).replace("gatekeeper.", "")
        const attempt = (role: string, statement: string) =>
          connect({ url: Redacted.make(as(role)), applicationName: "test" }).pipe(
            Effect.flatMap((session) => session.query(statement.replaceAll("<partition>", partition))),
            Effect.scoped,
            Effect.match({ onFailure: ({ sqlstate }) => sqlstate, onSuccess: () => "it did" })
          )
        for (const statement of forbidden) {
          expect([statement, yield* attempt("gatekeeper_app", statement)]).toEqual([statement, "42501"])
        }
        for (const statement of refusedToTheOwner) {
          expect([statement, yield* attempt("gravitas_owner", statement)]).toEqual([statement, "42501"])
        }

        // A partition that is needed ahead is made by the gatekeeper's role and belongs to the owner, with its guard.
        const ahead = `select c.relname as name, pg_get_userbyid(c.relowner) as owner,
            (select count(*)::int from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) as triggers
          from pg_inherits join pg_class c on c.oid = inhrelid
          where inhparent = 'gatekeeper.audit_log'::regclass order by 1 desc`
        const made = yield* rowsOf(url, ahead)
        yield* rowsOf(url, `drop table gatekeeper.${made[0]?.["name"]}`)
        expect(yield* attempt("gatekeeper_app", "select gatekeeper.audit_make_partitions_ahead()")).toBe("it did")
        expect(yield* rowsOf(url, ahead)).toEqual(made)
        expect(new Set(made.map(({ owner }) => owner))).toEqual(new Set(["gravitas_owner"]))
        expect(yield* attempt("gatekeeper_app", `truncate gatekeeper.${made[0]?.["name"]}`)).toBe("42501")

        // Without the owner's string anywhere, as beside a migration job.
        const verifying = yield* program({ environment: { ...environment, MIGRATE_ON_START: "verify" } })
        expect((yield* request(`${yield* verifying.url("router")}/readyz`)).status).toBe(200)
        yield* verifying.signal("SIGTERM")
        expect((yield* verifying.ended()).code).toBe(0)
      }),
    120_000
  )
})
