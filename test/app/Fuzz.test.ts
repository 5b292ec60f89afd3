import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { serviceNames } from "../../src/domain/Service.ts"
import { fuzz } from "../chaos/harness/FuzzRun.ts"
import { endpointsOf } from "../chaos/harness/fuzz/Document.ts"
import { Gravitas } from "../support/Gravitas.ts"

layer(Gravitas.layer({ environment: { LOG_LEVEL: "error" } }), { timeout: "60 seconds", excludeTestServices: true })(
  "every endpoint that the services document",
  (it) => {
    it.effect(
      "answers whatever it is sent as its document says: no failure, no hang, no decision without its row",
      () =>
        Effect.gen(function* () {
          const { databaseUrl, program } = yield* Gravitas
          const urls = yield* Effect.forEach(serviceNames, program.url)
          const endpoints = (yield* Effect.forEach(urls, endpointsOf)).flat().length
          const report = yield* fuzz({ urls, databaseUrl, requests: endpoints * 60, seed: 5_2026 })
          expect(report.problems).toEqual([])
          expect(report.withoutRow).toEqual([])
          // The run has met what it is for.
          expect(report.requests).toBe(endpoints * 60)
          for (const status of [200, 401, 403, 405, 422]) expect(report.byStatus[status] ?? 0).toBeGreaterThan(0)
          expect(report.decisions).toBeGreaterThan(50)
          // A failure that a handler did not foresee is logged as such.
          expect(program.output()).not.toContain("Request failed")
        }),
      { timeout: 300_000 }
    )
  }
)
