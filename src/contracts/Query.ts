import * as Schema from "effect/Schema"

/** A query parameter, as wide as a URL has it: a repeated one reaches the decoder, which refuses and records it. */
export const parameter = (description: string) =>
  Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String)).annotations({ description }))
