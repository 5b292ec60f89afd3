import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Operation = Schema.Struct({
  parameters: Schema.optionalWith(Schema.Array(Schema.Struct({ name: Schema.String, in: Schema.String })), {
    default: () => []
  }),
  requestBody: Schema.optional(
    Schema.Struct({ content: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
  ),
  responses: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

const Document = Schema.parseJson(
  Schema.Struct({
    paths: Schema.Record({ key: Schema.String, value: Schema.Record({ key: Schema.String, value: Operation }) }),
    components: Schema.Struct({ schemas: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
  })
)

/** A JSON schema as far as malformed values can be made from it. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What a service says that it answers. */
export interface Endpoint {
  readonly url: string
  readonly method: string
  /** With its parameters in braces. */
  readonly path: string
  readonly query: ReadonlyArray<string>
  readonly body: JsonSchema | undefined
  readonly statuses: ReadonlySet<number>
  /** Schemas that `body` refers to. */
  readonly schemas: Readonly<Record<string, unknown>>
}

export const isObject = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const schemaIn = (content: Readonly<Record<string, unknown>>): JsonSchema | undefined => {
  const [first] = Object.values(content)
  const schema = isObject(first) ? first["schema"] : undefined
  return isObject(schema) ? schema : undefined
}

/** Reads a service's `/openapi.json`; dies when that is not an OpenAPI document. */
export const endpointsOf = (url: string): Effect.Effect<ReadonlyArray<Endpoint>> =>
  Effect.gen(function* () {
    const text = yield* Effect.promise(() => fetch(`${url}/openapi.json`).then((response) => response.text()))
    const document = yield* Effect.orDie(Schema.decode(Document)(text))
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, operation]): Endpoint => ({
          url,
          method: method.toUpperCase(),
          path,
          query: operation.parameters.flatMap((one) => (one.in === "query" ? [one.name] : [])),
          body: operation.requestBody === undefined ? undefined : schemaIn(operation.requestBody.content),
          statuses: new Set(
            Object.keys(operation.responses).flatMap((status) => (/^\d+$/.test(status) ? Number(status) : []))
          ),
          schemas: document.components.schemas
        })
      )
    )
  })
