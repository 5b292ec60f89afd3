import * as OpenApi from "@effect/platform/OpenApi"
import { table } from "./Markdown.ts"
import { contracts, errorCodes } from "./Sources.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null

const member = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce((found, name) => (isObject(found) ? found[name] : undefined), value)

export interface Endpoint {
  readonly method: string
  readonly path: string
  readonly group: string
  readonly summary: string
  readonly description: string
  /** The members of a JSON body and the query parameters, optional ones with a `?`. */
  readonly input: string
  /** Codes of errors by status; a success, or a status without a code, has none. */
  readonly statuses: ReadonlyMap<string, ReadonlyArray<string>>
}

export type Service = keyof typeof contracts

const methods = ["get", "post", "put", "patch", "delete"]

/** Collects the values of `error.code` in a schema, through references and unions. */
const codesIn = (document: unknown, schema: unknown, seen: ReadonlySet<string> = new Set()): ReadonlyArray<string> => {
  const reference = member(schema, "$ref")
  if (typeof reference === "string") {
    const name = reference.replace("#/components/schemas/", "")
    return seen.has(name)
      ? []
      : codesIn(document, member(document, "components", "schemas", name), new Set([...seen, name]))
  }
  const either = member(schema, "anyOf")
  if (Array.isArray(either)) return either.flatMap((one) => codesIn(document, one, seen))
  const error = member(schema, "properties", "error")
  if (error === undefined) return []
  const codes = member(error, "properties", "code", "enum")
  if (Array.isArray(codes)) return codes.filter((code) => typeof code === "string")
  return member(error, "$ref") === undefined && member(error, "anyOf") === undefined
    ? []
    : errorCodesOf(document, error)
}

/** The codes of the object under `error`, where it is a reference or a union. */
const errorCodesOf = (document: unknown, error: unknown): ReadonlyArray<string> => {
  const reference = member(error, "$ref")
  const target =
    typeof reference === "string"
      ? member(document, "components", "schemas", reference.replace("#/components/schemas/", ""))
      : error
  const either = member(target, "anyOf")
  if (Array.isArray(either)) return either.flatMap((one) => errorCodesOf(document, one))
  const codes = member(target, "properties", "code", "enum")
  return Array.isArray(codes) ? codes.filter((code) => typeof code === "string") : []
}

const isPlatformError = (response: unknown): boolean =>
  JSON.stringify(member(response, "content") ?? null) ===
  '{"application/json":{"schema":{"$ref":"#/components/schemas/HttpApiDecodeError"}}}'

const statusesOf = (document: unknown, operation: unknown): ReadonlyMap<string, ReadonlyArray<string>> => {
  const responses = member(operation, "responses")
  if (!isObject(responses)) return new Map()
  return new Map(
    Object.entries(responses)
      .filter(([status, response]) => status !== "default" && !isPlatformError(response))
      .map(([status, response]) => {
        const content = member(response, "content")
        const schemas = isObject(content) ? Object.values(content).map((one) => member(one, "schema")) : []
        return [status, [...new Set(schemas.flatMap((schema) => codesIn(document, schema)))]] as const
      })
  )
}

const deref = (document: unknown, schema: unknown): unknown => {
  const reference = member(schema, "$ref")
  return typeof reference === "string"
    ? member(document, "components", "schemas", reference.replace("#/components/schemas/", ""))
    : schema
}

const namesIn = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : []

const bodyOf = (document: unknown, operation: unknown): string => {
  const schema = deref(document, member(operation, "requestBody", "content", "application/json", "schema"))
  const properties = member(schema, "properties")
  if (!isObject(properties) || Object.keys(properties).length === 0) return ""
  const required = new Set(namesIn(member(schema, "required")))
  return `\`{${Object.keys(properties)
    .map((name) => (required.has(name) ? name : `${name}?`))
    .join(", ")}}\``
}

const queryOf = (operation: unknown): string => {
  const parameters = member(operation, "parameters")
  if (!Array.isArray(parameters)) return ""
  const names = parameters.filter((one) => member(one, "in") === "query").map((one) => text(member(one, "name")))
  return names.length === 0 ? "" : `\`?${names.map((name) => `${name}=`).join("&")}\``
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const documentOf = (service: Service): unknown => {
  switch (service) {
    case "gatekeeper":
      return OpenApi.fromApi(contracts.gatekeeper)
    case "guardian":
      return OpenApi.fromApi(contracts.guardian)
    case "router":
      return OpenApi.fromApi(contracts.router)
  }
}

/** Returns the endpoints of a service's contract, in the order of the contract. */
export const endpointsOf = (service: Service): ReadonlyArray<Endpoint> => {
  const document = documentOf(service)
  const paths = member(document, "paths")
  if (!isObject(paths)) return []
  return Object.entries(paths).flatMap(([path, operations]) =>
    methods.flatMap((method) => {
      const operation = member(operations, method)
      if (operation === undefined) return []
      return [
        {
          method: method.toUpperCase(),
          path,
          group: text(member(operation, "tags", "0")),
          summary: text(member(operation, "summary")),
          description: text(member(operation, "description")),
          input: [bodyOf(document, operation), queryOf(operation)].filter((one) => one !== "").join(" "),
          statuses: statusesOf(document, operation)
        }
      ]
    })
  )
}

/** `health`, and the pages about the service, are the same for every service. */
const common = new Set(["health", "about"])

const needsToken = ({ statuses }: Endpoint): boolean => statuses.has("401")

const rowsOf = (endpoints: ReadonlyArray<Endpoint>): ReadonlyArray<ReadonlyArray<string>> =>
  endpoints.map((endpoint) => [
    `\`${endpoint.method} ${endpoint.path}\``,
    endpoint.input,
    needsToken(endpoint) ? "yes" : "no",
    endpoint.description === "" ? endpoint.summary : endpoint.description,
    [...endpoint.statuses.keys()].join(", ")
  ])

const head = ["endpoint", "input", "token", "what it does", "answers"]

/** The endpoints of one service, without those that all services have. */
export const endpointTable = (service: Service): ReadonlyArray<string> =>
  table(head, rowsOf(endpointsOf(service).filter(({ group }) => !common.has(group))))

/** The endpoints that all services have. */
export const commonEndpointTable = (): ReadonlyArray<string> =>
  table(head, rowsOf(endpointsOf("gatekeeper").filter(({ group }) => common.has(group))))

/** The codes that a service's contract declares, with their statuses. */
const codesOf = (service: Service): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  for (const { statuses } of endpointsOf(service)) {
    for (const [status, codes] of statuses) {
      for (const code of codes) found.set(code, (found.get(code) ?? new Set<string>()).add(status))
    }
  }
  return found
}

/** Every error code with its statuses, its services and its meaning. A code outside the contracts can come from any route. */
export const errorCodeTable = (): ReadonlyArray<string> => {
  const services = (["gatekeeper", "guardian", "router"] as const).map((name) => ({ name, codes: codesOf(name) }))
  const unknown = services.flatMap(({ codes }) => [...codes.keys()].filter((code) => !Object.hasOwn(errorCodes, code)))
  if (unknown.length > 0) throw new Error(`a contract has codes that are not in errorCodes: ${unknown.join(", ")}`)
  return table(
    ["code", "status", "service", "meaning"],
    Object.entries(errorCodes)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([code, { meaning, status }]) => {
        const having = services.filter(({ codes }) => codes.has(code))
        const statuses = new Set(having.flatMap(({ codes }) => [...(codes.get(code) ?? [])]))
        return [
          `\`${code}\``,
          [...(statuses.size === 0 ? [String(status)] : statuses)].toSorted().join(", "),
          having.length === 0 ? "any" : having.map(({ name }) => name).join(", "),
          meaning
        ]
      })
  )
}
