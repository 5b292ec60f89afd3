import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { AuditStatus } from "./AuditStatus.ts"
import { describing } from "./Endpoint.ts"

const SchemaCheck = Schema.Struct({
  expected: Schema.String,
  actual: Schema.NullOr(Schema.String),
  problem: Schema.optional(Schema.String).annotations({
    description: "A later revision removed something that this program may need."
  })
})

/** The policy in force, and the last version of its file that was refused. */
const PolicyState = Schema.Struct({
  version: Schema.String,
  refused: Schema.NullOr(Schema.Struct({ at: Schema.String, problems: Schema.Number }))
})
export type PolicyState = typeof PolicyState.Type

/** The issuer's keys at `JWKS_URL`. */
const IssuerKeys = Schema.Struct({
  fetched_at: Schema.NullOr(Schema.String),
  failures: Schema.Number.annotations({ description: "Fetches that failed since the start." }),
  problem: Schema.NullOr(Schema.String).annotations({ description: "Why the last fetch failed." })
})
export type IssuerKeys = typeof IssuerKeys.Type

const Status = Schema.Literal("healthy", "degraded", "unhealthy")

const Health = Schema.Struct({
  status: Status,
  service: Schema.String,
  version: Schema.String,
  database: Schema.Literal("connected", "disconnected"),
  database_problem: Schema.optional(Schema.String),
  schema: SchemaCheck,
  audit: Schema.optional(AuditStatus),
  policy: Schema.optional(PolicyState),
  issuer_keys: Schema.optional(IssuerKeys),
  counts: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
  warnings: Schema.optional(Schema.Array(Schema.String))
}).annotations({ description: "The present state." })

const Ready = Schema.Struct({
  status: Schema.Literal("ready", "degraded"),
  checks: Schema.Struct({
    database: Schema.Boolean,
    schema: SchemaCheck,
    audit: Schema.optional(AuditStatus)
  })
}).annotations({ description: "The service can answer; `degraded`: without its database." })

const NotReady = Schema.Struct({ ...Ready.fields, status: Schema.Literal("unavailable") }).annotations({
  description: "The service cannot answer now."
})

const Alive = Schema.Struct({ status: Schema.Literal("alive") }).annotations({ description: "It lives." })

/** `/health` has the shape that clients of the system before this one read. */
export class HealthGroup extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("healthz", "/healthz")
      .addSuccess(Alive)
      .annotateContext(describing("Does the process live?", "Looks at nothing else. For a supervisor."))
  )
  .add(
    HttpApiEndpoint.get("readyz", "/readyz")
      .addSuccess(Ready)
      .addError(NotReady, { status: 503 })
      .annotateContext(
        describing("Can it answer?", "For a balancer. The gatekeeper can for as long as its trail accepts events.")
      )
  )
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(Health)
      .addError(Health, { status: 503 })
      .annotateContext(describing("Everything about its state", "For people and monitors; 503 where `/readyz` is."))
  )
  .annotate(OpenApi.Description, "The state of the service. Needs no token.") {}
