import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
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

/**
 * Declares in the document that a group's endpoints need a bearer token. It has no implementation, since `audited` authenticates: the
 * platform's own decoder also accepts the header `Basic: …`. So it is for groups that are served by `audited` alone.
 */
export class Bearer extends HttpApiMiddleware.Tag<Bearer>()("contracts/Bearer", {
  security: {
    bearer: HttpApiSecurity.bearer.pipe(
      HttpApiSecurity.annotate(
        OpenApi.Description,
        "A token of the ghost that asks: `pnpm -s gravitas token <ghost>` prints one."
      )
    )
  }
}) {}
