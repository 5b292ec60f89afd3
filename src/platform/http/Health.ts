import type * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { AuditStatus } from "../../contracts/AuditStatus.ts"
import type { HealthGroup, IssuerKeys, PolicyState } from "../../contracts/Health.ts"
import type { ServiceName } from "../../domain/Service.ts"
import { AllowedInsecurities } from "../config/InsecureSettings.ts"
import { appVersion } from "../config/ProgramLocation.ts"
import { Departure } from "../os/Departure.ts"

export interface HealthReport {
  /** Whether it would answer a request now, database or not: what a balancer asks. */
  readonly canAnswer: boolean
  readonly databaseAnswers: boolean
  readonly databaseProblem?: string
  /** Revisions of the service's schema: that of this program, and that which the application's connection reads. */
  readonly schema: { readonly expected: string; readonly actual: string | null; readonly problem?: string }
  /** `actual` is one that this program understands. */
  readonly schemaStands: boolean
  /** What is dangerous about how it is set up. */
  readonly warnings?: ReadonlyArray<string>
  readonly audit?: AuditStatus
  /** What the service keeps; undefined where it could not be counted in time. Only `/health` asks. */
  readonly counts?: Effect.Effect<Readonly<Record<string, number>> | undefined>
  readonly policy?: PolicyState
  readonly issuerKeys?: IssuerKeys
}

const answer = (status: number, body: unknown) =>
  HttpServerResponse.unsafeJson(body, { status, headers: { "cache-control": "no-store" } })

const troubled: ReadonlyArray<string | undefined> = ["retrying", "paused", "dead"]

const isWhole = ({ audit, databaseAnswers, issuerKeys, policy, schema, schemaStands }: HealthReport): boolean =>
  databaseAnswers &&
  schemaStands &&
  schema.problem === undefined &&
  !troubled.includes(audit?.drain) &&
  (policy?.refused ?? null) === null &&
  (issuerKeys?.problem ?? null) === null

const alive = Effect.succeed(answer(200, { status: "alive" }))

const readiness = (now: HealthReport) =>
  answer(now.canAnswer ? 200 : 503, {
    status: !now.canAnswer ? "unavailable" : isWhole(now) ? "ready" : "degraded",
    checks: { database: now.databaseAnswers, schema: now.schema, audit: now.audit }
  })

const health = (
  service: ServiceName,
  now: HealthReport,
  counts: Readonly<Record<string, number>> | undefined,
  warnings: ReadonlyArray<string>
) =>
  answer(now.canAnswer ? 200 : 503, {
    status: !now.canAnswer ? "unhealthy" : isWhole(now) ? "healthy" : "degraded",
    service,
    version: appVersion,
    database: now.databaseAnswers ? "connected" : "disconnected",
    database_problem: now.databaseProblem,
    schema: now.schema,
    audit: now.audit,
    policy: now.policy,
    issuer_keys: now.issuerKeys,
    counts,
    warnings: warnings.length === 0 ? undefined : warnings
  })

const stopping = "the process stops: it answers until its ports close, after SHUTDOWN_DELAY"

/** The handlers of the group, the same for each service. `report` runs at each request. */
export const answerHealth =
  (service: ServiceName, report: Effect.Effect<HealthReport>) =>
  (group: HttpApiBuilder.Handlers.FromGroup<HttpApiDecodeError, never, typeof HealthGroup>) =>
    Effect.map(Effect.all([AllowedInsecurities, Departure]), ([allowed, departure]) => {
      // The problems name databases and peers, which are not for strangers.
      const accepted = allowed.map(({ name }) => `ALLOW_INSECURE accepts ${name}`)
      const present = Effect.map(report, (now) => ({ ...now, canAnswer: now.canAnswer && !departure.hasBegun() }))
      return group
        .handle("healthz", () => alive)
        .handle("readyz", () => Effect.map(present, readiness))
        .handle("health", () =>
          Effect.gen(function* () {
            const now = yield* present
            const counts = yield* now.counts ?? Effect.succeed(undefined)
            const warnings = [...(now.warnings ?? []), ...accepted, ...(departure.hasBegun() ? [stopping] : [])]
            return health(service, now, counts, warnings)
          })
        )
    })
