import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import type * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import { meaningOf } from "../../contracts/ErrorCodes.ts"
import { type ServiceName, titleOf } from "../../domain/Service.ts"
import { appVersion } from "../config/ProgramLocation.ts"

/** The platform's types of a document know neither `default` nor 3.1's keywords, so it is plain JSON here. */
type Json = Readonly<Record<string, unknown>>

interface Response extends Json {
  readonly description: string
}

type Operation = Json & {
  readonly security: ReadonlyArray<unknown>
  readonly responses: Readonly<Record<string, Response>>
}

const reference = /#\/components\/schemas\/Error_([^"]+)/g

/** The codes of the errors that a response refers to. */
const codesIn = (response: Response): ReadonlyArray<string> =>
  [...JSON.stringify(response).matchAll(reference)].flatMap(([, codes = ""]) => codes.split("_or_"))

const header = (description: string) => ({ description, schema: { type: "string" } })

const requestIdHeader = { "X-Request-Id": header("That of the request where it was acceptable, else a new one.") }
const auditIdHeader = { "X-Audit-Id": header("The id of the answer's row in the trail, where there is one.") }
const retryHeader = { "Retry-After": header("Seconds, where they can be told.") }
const errorHeaders: Readonly<Record<string, object>> = {
  401: { "WWW-Authenticate": header("What kind of token is asked for, and what is wrong with this one.") },
  429: retryHeader,
  503: retryHeader
}

const described = (status: string, response: Response, hasRow: boolean): Response => {
  const codes = codesIn(response)
  const isError = codes.length > 0
  return {
    ...response,
    ...(isError && { description: meaningOf(...codes) }),
    headers: { ...requestIdHeader, ...(hasRow && auditIdHeader), ...(isError && errorHeaders[status]) }
  }
}

/** The answers of the listener and of the server around the routes: any route may have them. */
const otherErrors = {
  description:
    "Every other error has this shape: 400, 408 or 431 `unreadable_request`, 403 `foreign_request`, 415 `unsupported_media_type`, " +
    "500 `internal_error`, 503 `shutting_down` or `too_many_connections`.",
  headers: requestIdHeader,
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } }
}

/** The operation as it is answered. A route that can answer 401 needs a token, and its answers have rows; the others do not. */
const operation = (given: Operation): Operation => {
  const hasRow = "401" in given.responses
  const responses = Record.map(given.responses, (response, status) => described(status, response, hasRow))
  return {
    ...given,
    security: hasRow ? [{ bearer: [] }] : given.security,
    responses: { ...responses, default: otherErrors }
  }
}

type Document = Readonly<Record<string, unknown>> & {
  readonly info: Readonly<Record<string, unknown>>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly tags?: ReadonlyArray<unknown>
  readonly components: {
    readonly schemas: Readonly<Record<string, unknown>>
    readonly securitySchemes: unknown
  }
}

const anyError = {
  type: "object",
  description: "What every error has.",
  required: ["error", "detail"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "request_id"],
      properties: {
        code: { type: "string", description: "for programs; stable" },
        message: { type: "string" },
        request_id: { type: "string", description: "that of the answer's X-Request-Id" },
        audit_id: { type: "string", description: "the row of the trail, where there is one" }
      }
    },
    detail: { type: "string", description: "what clients of the system before this one read" }
  }
}

const page = (operationId: string, description: string, contentType: string, schema: Json = { type: "string" }) => ({
  get: {
    tags: ["about"],
    operationId: `about.${operationId}`,
    summary: description,
    description,
    parameters: [],
    security: [],
    responses: {
      200: { description, headers: otherErrors.headers, content: { [contentType]: { schema } } },
      default: otherErrors
    }
  }
})

/** What every service answers beside its contract. */
const aboutPages = {
  "/openapi.json": page("openapi", "This document.", "application/json", { type: "object" }),
  "/docs": page("docs", "This document, for reading and trying out.", "text/html"),
  "/metrics": page("metrics", "The metrics of this process, for Prometheus.", "text/plain")
}

export const aboutPaths = Object.keys(aboutPages)

/** The platform gives every schema of an unknown value the same `$id`, and an id must be unique. */
const withoutIds = <A>(document: A): A =>
  JSON.parse(JSON.stringify(document, (key, value) => (key === "$id" && isPlatformId(value) ? undefined : value)))

const isPlatformId = (value: unknown): boolean => typeof value === "string" && value.startsWith("/schemas/")

const complete = (service: ServiceName, spec: Document): Document => {
  const paths = Record.map(spec.paths, Record.map(operation))
  return {
    ...spec,
    info: { ...spec.info, title: `Gravitas ${titleOf(service)}`, version: appVersion },
    servers: [{ url: "/" }],
    paths: { ...paths, ...aboutPages },
    tags: [...(spec.tags ?? []), { name: "about", description: "What every service answers about itself." }],
    components: {
      schemas: { ...spec.components.schemas, Error: anyError },
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A token of the ghost that asks: `pnpm -s gravitas token <ghost>` prints one."
        }
      }
    }
  }
}

/** A contract of any service, under the type that the platform keeps contracts by: it says nothing about their schemas. */
export type AnyApi = Context.Tag.Service<typeof HttpApi.Api>["api"]

const isAnyApi = (api: unknown): api is AnyApi => HttpApi.isHttpApi(api)

/** The contract with what its document says beyond the contract: OpenAPI 3.1. */
export const documented = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  service: ServiceName,
  api: HttpApi.HttpApi<Id, Groups, E, R>
): AnyApi => {
  const contract = api.annotate(OpenApi.Transform, (spec) => complete(service, withoutIds(spec as Document)))
  // A copy. Its only error is the platform's answer to a request that it cannot decode: no client gets it (FallbackResponses.ts).
  Object.assign(contract, { errorSchema: Schema.Never })
  return Option.getOrThrow(Option.liftPredicate(isAnyApi)(contract))
}
