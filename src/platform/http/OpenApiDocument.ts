import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import type * as Context from "effect/Context"
import * as Option from "effect/Option"
import { type ServiceName, titleOf } from "../../domain/Service.ts"
import { appVersion } from "../config/AppVersion.ts"
import { type Json, type Operation, operation, otherErrors, referenced } from "./OpenApiOperation.ts"

type Document = Readonly<Record<string, unknown>> & {
  readonly info: Readonly<Record<string, unknown>>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly tags?: ReadonlyArray<unknown>
  readonly components: {
    readonly schemas: Readonly<Record<string, unknown>>
    readonly securitySchemes: Readonly<Record<string, unknown>>
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

/** The paths that every service answers beside its contract. */
export const aboutPaths = Object.keys(aboutPages)

/** The platform gives every schema of an unknown value the same `$id`, and an id must be unique. */
const withoutIds = <A>(document: A): A =>
  JSON.parse(JSON.stringify(document, (key, value) => (key === "$id" && isPlatformId(value) ? undefined : value)))

const isPlatformId = (value: unknown): boolean => typeof value === "string" && value.startsWith("/schemas/")

/** Without the schemas that the document does not refer to. */
const withoutStrays = (spec: Document): Document => {
  const { schemas } = spec.components
  const named = new Set<string>()
  const name = (value: unknown): void => {
    for (const one of referenced(value)) {
      if (named.has(one)) continue
      named.add(one)
      name(schemas[one] ?? null)
    }
  }
  name(spec.paths)
  const kept = Object.fromEntries(Object.entries(schemas).filter(([one]) => named.has(one)))
  return { ...spec, components: { ...spec.components, schemas: kept } }
}

const complete = (service: ServiceName, spec: Document): Document => {
  const paths = Object.fromEntries(
    Object.entries(spec.paths).map(([path, methods]) => [
      path,
      Object.fromEntries(Object.entries(methods).map(([method, given]) => [method, operation(given)]))
    ])
  )
  return withoutStrays({
    ...spec,
    info: {
      ...spec.info,
      title: spec.info["title"] === "Api" ? `Gravitas ${titleOf(service)}` : spec.info["title"],
      version: appVersion
    },
    servers: spec["servers"] ?? [{ url: "/" }],
    paths: { ...paths, ...aboutPages },
    tags: [...(spec.tags ?? []), { name: "about", description: "What every service answers about itself." }],
    components: {
      schemas: { ...spec.components.schemas, Error: anyError },
      securitySchemes: {
        ...spec.components.securitySchemes,
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A token of the ghost that asks: `pnpm -s gravitas token <ghost>` prints one."
        }
      }
    }
  })
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
  return Option.getOrThrow(Option.liftPredicate(isAnyApi)(contract))
}
