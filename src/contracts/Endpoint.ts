import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"

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

export const describing = (summary: string, description: string) => OpenApi.annotations({ summary, description })
