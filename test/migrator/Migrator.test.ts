import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Redacted from "effect/Redacted"
import { type ServiceName, serviceNames } from "../../src/domain/Service.ts"
import { gatekeeperSchema } from "../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../src/guardian/GuardianSchema.ts"
import { routerSchema } from "../../src/router/RouterSchema.ts"
import {
  ask,
  environment,
  migrationsOf,
  quiet,
  revision,
  tableA,
  tableB,
  tablesOf,
  write
} from "../support/migrator/Fixture.ts"
import { shippedRevisions } from "../support/migrator/Shipped.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

describe("the layer of a service", () => {
  const layers = {
    gatekeeper: Layer.discard(gatekeeperSchema.layer),
    guardian: Layer.discard(guardianSchema.layer),
    router: Layer.discard(routerSchema.layer)
  }
  const all = (url: Redacted.Redacted, services: ReadonlyArray<ServiceName>, migrationUrl = url) =>
    Effect.forEach(services, (service) => Layer.build(layers[service])).pipe(
      Effect.scoped,
      Effect.provide([environment({ url, migrationUrl, services }), quiet])
    )
  const expected = {
    gatekeeper: [
      "audit_bundle",
      "audit_checkpoint",
      "audit_cosignature",
      "audit_dead_letter",
      "audit_dead_letter_replay",
      "audit_ingest",
      "audit_ingest_conflict",
      "audit_intake",
      "audit_log",
      "audit_run",
      "audit_source",
      "audit_subtree",
      "audit_trail",
      "audit_tree",
      "revocation",
      "service_key"
    ],
    guardian: ["agent_badges", "certificate", "removed_sessions", "session"],
    router: ["history"]
  }

  it.scopedLive.each([
    { services: [...serviceNames] },
    { services: [...serviceNames].reverse() },
    { services: ["guardian", "gatekeeper", "router"] as const },
    { services: ["gatekeeper"] as const },
    { services: ["guardian"] as const },
    { services: ["router"] as const }
  ])("gives each service on one database its own tables and its own history: $services", ({ services }) =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* all(url, services)
      for (const service of services) {
        expect(yield* tablesOf(url, service)).toEqual(expected[service])
        expect(yield* ask(url, `select revision from ${service}.schema_version`)).toEqual([
          { revision: shippedRevisions(service).length }
        ])
      }
      const schemas = yield* ask(url, "select nspname from pg_namespace where nspname = any($1)", [[...serviceNames]])
      expect(schemas).toHaveLength(services.length)
    })
  )

  it.scopedLive("logs the schema's revision, and lets the service read it again", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => lines.push(String(message)))
      const version = yield* gatekeeperSchema.version.pipe(
        Effect.flatMap(({ actual, expected, head, service }) =>
          Effect.map(actual, (actual) => ({ actual, expected, head, service }))
        ),
        Effect.provide(gatekeeperSchema.layer.pipe(Layer.provide(environment({ url, services: ["gatekeeper"] })))),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      const head = shippedRevisions("gatekeeper").at(-1)
      expect(version).toEqual({ actual: head, expected: head, head, service: "gatekeeper" })
      expect(lines).toContain(`Gatekeeper schema versioned at revision ${head} (head)`)
    })
  )

  it.scopedLive(
    "starts with a warning on a schema that a newer program expanded, and refuses one that it contracted",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const newer = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
        const older = yield* migrationsOf({ "router/0001_a.sql": tableA })
        const start = (migrations: string) =>
          Layer.build(Layer.discard(routerSchema.layer)).pipe(
            Effect.scoped,
            Effect.provide(environment({ url, migrations, services: ["router"] }))
          )
        yield* start(newer)
        yield* start(older)
        yield* write(newer, {
          "router/0003_c.sql": revision("alter table router.b drop id;", "select 1;", " phase:contract")
        })
        yield* start(newer)
        const refusal = yield* Effect.flip(start(older))
        expect(refusal).toMatchObject({ _tag: "DatabaseAhead", exitCode: 8, contract: ["0003_c"] })
      })
  )

  it.scopedLive("refuses an application connection to a different database from the migrated one", () =>
    Effect.gen(function* () {
      const [url, migrationUrl] = [yield* freshDatabase, yield* freshDatabase]
      const absent = yield* Effect.flip(all(url, ["guardian"], migrationUrl))
      expect(absent).toMatchObject({ _tag: "SchemaUnreadable", exitCode: 9 })
      expect(absent.message).toContain("points at another database")
      // Now both databases are at head: equal revisions must not hide the difference.
      yield* all(url, ["guardian"])
      const other = yield* Effect.flip(all(url, ["guardian"], migrationUrl))
      expect(other).toMatchObject({ _tag: "SchemaElsewhere", exitCode: 9 })
    })
  )
})
