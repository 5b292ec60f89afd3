import type * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"

/** What a service knows of itself at this moment. */
export interface HealthReport {
  /** Whether it would answer a request now, database or not: what a balancer asks. */
  readonly canAnswer: boolean
  readonly databaseAnswers: boolean
  /** Why it does not. */
  readonly databaseProblem?: string
  /** Revisions of the service's schema: that of this program, and that which the application's connection reads. */
  readonly schema: { readonly expected: string; readonly actual: string | null }
  /** `actual` is one that this program understands. */
  readonly schemaStands: boolean
  /** What is dangerous about how it is set up. */
  readonly warnings?: ReadonlyArray<string>
  /** The trail of its process. */
  readonly audit?: Schema.Schema.Type<typeof AuditCheck>
  /** What the service keeps, where it could be counted. */
  readonly counts?: Readonly<Record<string, number>>
}

const JournalCheck = Schema.Struct({
  path: Schema.String,
  /** Of this process's journals together, and the bound. */
  bytes: Schema.Number,
  max_bytes: Schema.Number,
  segments: Schema.Number,
  /** Why it takes nothing now. */
  problem: Schema.NullOr(Schema.String),
  /** Why it cannot be read back now. */
  read_problem: Schema.NullOr(Schema.String),
  /** Damaged spans that were put aside. */
  quarantined: Schema.Number,
  /** Journals that others left, or keep, in the same home. */
  others: Schema.Struct({
    alive: Schema.Number,
    adopted: Schema.Number,
    /** Of another database's trail: they are left alone. */
    foreign: Schema.Array(Schema.Struct({ path: Schema.String, trail: Schema.String })),
    stuck: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String })),
    adopting: Schema.NullOr(
      Schema.Struct({ source: Schema.String, pending: Schema.Number, read_problem: Schema.NullOr(Schema.String) })
    )
  })
})

export const AuditCheck = Schema.Struct({
  /** What answers wait for. */
  mode: Schema.String,
  source: Schema.String,
  accepting: Schema.Boolean,
  drain: Schema.String,
  drain_problem: Schema.NullOr(Schema.String),
  /** Events that wait. */
  depth: Schema.Number,
  /** Of `depth`: those that the memory has no room for. */
  in_journal_only: Schema.Number,
  /** Events that the memory takes. */
  capacity: Schema.Number,
  /** Of `depth`: rows that the database keeps refusing, tried again from time to time while the others pass. */
  aside: Schema.Number,
  oldest_age_ms: Schema.NullOr(Schema.Number),
  restarts: Schema.Number,
  counters: Schema.Record({ key: Schema.String, value: Schema.Number }),
  /** Null where nothing is kept on disk. */
  journal: Schema.NullOr(JournalCheck)
})

const SchemaCheck = Schema.Struct({ expected: Schema.String, actual: Schema.NullOr(Schema.String) })

const Status = Schema.Literal("healthy", "degraded", "unhealthy")

const Health = Schema.Struct({
  status: Status,
  service: Schema.String,
  database: Schema.Literal("connected", "disconnected"),
  database_problem: Schema.optional(Schema.String),
  schema: SchemaCheck,
  audit: Schema.optional(AuditCheck),
  counts: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
  warnings: Schema.optional(Schema.Array(Schema.String))
}).annotations({ description: "What is so now." })

const Ready = Schema.Struct({
  status: Schema.Literal("ready", "degraded"),
  checks: Schema.Struct({
    database: Schema.Boolean,
    schema: SchemaCheck,
    audit: Schema.optional(AuditCheck)
  })
}).annotations({ description: "The service can answer; `degraded`: without its database." })

const NotReady = Schema.Struct({ ...Ready.fields, status: Schema.Literal("unavailable") }).annotations({
  description: "The service cannot answer now."
})

const Alive = Schema.Struct({ status: Schema.Literal("alive") }).annotations({ description: "It lives." })

const describing = (summary: string, description: string) => OpenApi.annotations({ summary, description })

/**
 * - `/healthz`: the process lives; asks nobody.
 * - `/readyz`: 200 while the service can answer (`degraded`: without its database), else 503.
 * - `/health`: the shape that clients of the system before this one read, but true; its status code is `/readyz`'s.
 */
export class HealthGroup extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("healthz", "/healthz")
      .addSuccess(Alive)
      .annotateContext(describing("Does the process live?", "Asks nobody. For a supervisor."))
  )
  .add(
    HttpApiEndpoint.get("readyz", "/readyz")
      .addSuccess(Ready)
      .addError(NotReady, { status: 503 })
      .annotateContext(
        describing("Can it answer?", "For a balancer. The gatekeeper can for as long as its trail takes events.")
      )
  )
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(Health)
      .addError(Health, { status: 503 })
      .annotateContext(describing("Everything about its state", "For people and monitors; 503 where `/readyz` is."))
  )
  .annotate(OpenApi.Description, "How it is. Nobody is asked who they are.") {}

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

const health = (service: ServiceName, now: HealthReport) =>
  answer(now.canAnswer ? 200 : 503, {
    status: !now.canAnswer ? "unhealthy" : isWhole(now) ? "healthy" : "degraded",
    service,
    database: now.databaseAnswers ? "connected" : "disconnected",
    database_problem: now.databaseProblem,
    schema: now.schema,
    audit: now.audit,
    counts: now.counts,
    warnings: now.warnings
  })

/** The handlers of the group, the same for each service. `report` is asked anew at each request. */
export const answerHealth =
  (service: ServiceName, report: Effect.Effect<HealthReport>) =>
  (group: HttpApiBuilder.Handlers.FromGroup<HttpApiDecodeError, never, typeof HealthGroup>) =>
    group
      .handle("healthz", () => alive)
      .handle("readyz", () => Effect.map(report, readiness))
      .handle("health", () => Effect.map(report, (now) => health(service, now)))
