import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/** Whether a request may come without its body: the payload is decoded from `{}` then. */
export class OptionalBody extends Context.Reference<OptionalBody>()("contracts/OptionalBody", {
  defaultValue: () => false
}) {}

/** The annotations of an endpoint whose body may be left out: the platform's document says of every body that it is required. */
export const optionalBody = Context.make(OptionalBody, true).pipe(
  Context.add(OpenApi.Transform, (operation) => ({
    ...operation,
    requestBody: { ...Object(operation["requestBody"]), required: false }
  }))
)

/** Whether the body may have fields that the contract does not name. By default one is refused, since it may be a misspelt field. */
export class UnknownFields extends Context.Reference<UnknownFields>()("contracts/UnknownFields", {
  defaultValue: (): "ignored" | "refused" => "refused"
}) {}

/** The annotation of an endpoint of the former system: its clients may send more, and each field that changes what it does is required. */
export const unknownFieldsIgnored = Context.make(UnknownFields, "ignored" as const)

export const describing = (summary: string, description: string) => OpenApi.annotations({ summary, description })

/** The members of a declared union by their status, the lowest first; those of one status are a union again. */
export const byStatus = <A>(declared: Schema.Schema<A, unknown>, statusOf: (schema: Schema.Schema.Any) => number) => {
  const members = new Set<Schema.Schema.Any>()
  HttpApiSchema.deunionize(members, declared)
  const declaring = [...members].filter(({ ast }) => !AST.isNeverKeyword(ast))
  // An object with numeric keys has them in their order.
  return Object.entries(Array.groupBy(declaring, (member) => String(statusOf(member)))).map(
    ([status, those]) =>
      [Number(status), Schema.make<A, unknown, never>(AST.Union.make(those.map(({ ast }) => ast)))] as const
  )
}
