import type * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { AuditStatus } from "../../contracts/AuditStatus.ts"
import type { HealthGroup } from "../../contracts/Health.ts"
import type { ServiceName } from "../../domain/Service.ts"
import { AllowedInsecurities } from "../config/InsecureSettings.ts"

export interface HealthReport {
  /** Whether it would answer a request now, database or not: what a balancer asks. */
  readonly canAnswer: boolean
  readonly databaseAnswers: boolean
  readonly databaseProblem?: string
  /** Revisions of the service's schema: that of this program, and that which the application's connection reads. */
  readonly schema: { readonly expected: string; readonly actual: string | null }
  /** `actual` is one that this program understands. */
  readonly schemaStands: boolean
  /** What is dangerous about how it is set up. */
  readonly warnings?: ReadonlyArray<string>
  readonly audit?: AuditStatus
  /** What the service keeps, where it could be counted. */
  readonly counts?: Readonly<Record<string, number>>
}

const answer = (status: number, body: unknown) =>
  HttpServerResponse.unsafeJson(body, { status, headers: { "cache-control": "no-store" } })

const troubled: ReadonlyArray<string | undefined> = ["retrying", "paused", "dead"]

const isWhole = (report: HealthReport): boolean =>
  report.databaseAnswers && report.schemaStands && !troubled.includes(report.audit?.drain)

const alive = Effect.succeed(answer(200, { status: "alive" }))

const readiness = (now: HealthReport) =>
  answer(now.canAnswer ? 200 : 503, {
    status: !now.canAnswer ? "unavailable" : isWhole(now) ? "ready" : "degraded",
    checks: { database: now.databaseAnswers, schema: now.schema, audit: now.audit }
  })

const health = (service: ServiceName, now: HealthReport, allowed: ReadonlyArray<string>) =>
  answer(now.canAnswer ? 200 : 503, {
    status: !now.canAnswer ? "unhealthy" : isWhole(now) ? "healthy" : "degraded",
    service,
    database: now.databaseAnswers ? "connected" : "disconnected",
    database_problem: now.databaseProblem,
    schema: now.schema,
    audit: now.audit,
    counts: now.counts,
    warnings: allowed.length === 0 ? now.warnings : [...(now.warnings ?? []), ...allowed]
  })

/** The handlers of the group, the same for each service. `report` runs at each request. */
export const answerHealth =
  (service: ServiceName, report: Effect.Effect<HealthReport>) =>
  (group: HttpApiBuilder.Handlers.FromGroup<HttpApiDecodeError, never, typeof HealthGroup>) =>
    Effect.map(AllowedInsecurities, (allowed) => {
      // The problems name databases and peers, which are not for strangers.
      const warnings = allowed.map(({ name }) => `ALLOW_INSECURE accepts ${name}`)
      return group
        .handle("healthz", () => alive)
        .handle("readyz", () => Effect.map(report, readiness))
        .handle("health", () => Effect.map(report, (now) => health(service, now, warnings)))
    })
