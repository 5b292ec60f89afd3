import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"

const Properties = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const Entity = Schema.Struct({ type: Schema.String, id: Schema.String, properties: Schema.optional(Properties) })

const Action = Schema.Struct({ name: Schema.String, properties: Schema.optional(Properties) })

/** AuthZEN 1.0, sections 5 and 6.1. */
export const EvaluationRequest = Schema.Struct({
  subject: Entity,
  action: Action,
  resource: Entity,
  context: Schema.optional(Properties)
})

/** An evaluation may leave out what the request says beside `evaluations`. */
const partialEvaluation = {
  subject: Schema.optional(Entity),
  action: Schema.optional(Action),
  resource: Schema.optional(Entity),
  context: Schema.optional(Properties)
}

export const evaluationsSemantics = ["execute_all", "deny_on_first_deny", "permit_on_first_permit"] as const
export type EvaluationsSemantic = (typeof evaluationsSemantics)[number]

/** AuthZEN 1.0, section 7.1. */
export const EvaluationsRequest = Schema.Struct({
  ...partialEvaluation,
  evaluations: Schema.optional(Schema.Array(Schema.Struct(partialEvaluation))),
  options: Schema.optional(
    Schema.Struct({ evaluations_semantic: Schema.optional(Schema.Literal(...evaluationsSemantics)) })
  )
})

/** AuthZEN 1.0, section 5.5; `error` where this evaluation of several is malformed. */
export const EvaluationAnswer = Schema.Struct({
  decision: Schema.Boolean,
  context: Schema.Struct({
    audit_id: Schema.String,
    reason: Schema.optional(Schema.String),
    matched: Schema.optional(Schema.NullOr(Matched)),
    policy_version: Schema.optional(Schema.String),
    error: Schema.optional(Schema.Struct({ status: Schema.Number, message: Schema.String }))
  })
}).annotations({ description: "The decision." })

/** Where `evaluations` of the request is missing or empty, the answer is that of one evaluation. */
export const EvaluationsAnswer = Schema.Union(
  Schema.Struct({ evaluations: Schema.Array(EvaluationAnswer) }),
  EvaluationAnswer
).annotations({ description: "The decisions, in the order of the request." })

/** AuthZEN 1.0, section 9. */
export const Configuration = Schema.Struct({
  policy_decision_point: Schema.String,
  access_evaluation_endpoint: Schema.String,
  access_evaluations_endpoint: Schema.String
}).annotations({ description: "The addresses of this decision point." })
