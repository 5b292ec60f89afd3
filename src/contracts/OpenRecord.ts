import * as JSONSchema from "effect/JSONSchema"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/*
 * Objects whose keys are free. They are kept as they are: `Schema.Record` makes a copy by assignment, which loses a key such as
 * `__proto__`.
 */

const message = () => ({ message: "must be an object", override: true })

/** An object with values of any kind. */
export const OpenRecord = Schema.declare(Predicate.isReadonlyRecord, { jsonSchema: { type: "object" }, message })

/** An object whose values are all of one schema, which does not transform them. */
export const RecordOf = <A>(value: Schema.Schema<A>) => {
  const isValue = Schema.is(value)
  const { $schema: _, ...additionalProperties } = JSONSchema.make(value)
  return Schema.declare(
    (input): input is Readonly<Record<string, A>> =>
      Predicate.isReadonlyRecord(input) && Object.values(input).every((one) => isValue(one)),
    { jsonSchema: { type: "object", additionalProperties }, message }
  )
}
