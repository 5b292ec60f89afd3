import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { newKey } from "../../support/ServiceKeys.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

const enrol = (url: Parameters<typeof query>[0], id: string, x: string, service = "guardian") =>
  query(
    url,
    "insert into gatekeeper.service_key (key_id, service, public_key, enrolled_by) values ($1, $3, $2, 'a test')",
    [id, x, service]
  )

it.scopedLive("a key of a service is withdrawn once, and nothing else of it changes", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const [key, other] = [yield* newKey, yield* newKey]
    yield* enrol(url, key.id, key.x)
    for (const change of [
      "service = 'router'",
      `public_key = '${other.x}'`,
      "enrolled_by = 'another'",
      `key_id = '${other.id}'`
    ]) {
      const refused = yield* query(url, `update gatekeeper.service_key set ${change}`).pipe(Effect.sandbox, Effect.flip)
      expect(String(refused), change).toContain("only moves forward")
    }
    const withdraw = "update gatekeeper.service_key set withdrawn_at = now(), withdrawn_by = 'a test'"
    yield* query(url, withdraw)
    for (const change of [
      withdraw,
      "update gatekeeper.service_key set withdrawn_at = null, withdrawn_by = null",
      "delete from gatekeeper.service_key",
      "truncate gatekeeper.service_key"
    ]) {
      const refused = yield* query(url, change).pipe(Effect.sandbox, Effect.flip)
      expect(String(refused), change).toMatch(/only moves forward|append-only|refused/)
    }
    for (const [id, x, service] of [
      ["short", other.x, "guardian"],
      [other.id, "short", "guardian"],
      [other.id, other.x, "Guardian; drop"]
    ] as const) {
      expect(String(yield* enrol(url, id, x, service).pipe(Effect.sandbox, Effect.flip))).toContain("check")
    }
  })
)
