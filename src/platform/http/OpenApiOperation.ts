import { meaningOf } from "../../contracts/ErrorCodes.ts"

/** The platform's types of a document know neither `default` nor 3.1's keywords, so it is plain JSON here. */
export type Json = Readonly<Record<string, unknown>>

interface Response {
  readonly description: string
  readonly content?: Readonly<Record<string, { readonly schema: Json }>>
  readonly headers?: Json
}

export type Operation = Json & {
  readonly parameters: ReadonlyArray<unknown>
  readonly security: ReadonlyArray<unknown>
  readonly responses: Readonly<Record<string, Response>>
}

const reference = /#\/components\/schemas\/([^"]+)/g

/** The names of the schemas that a piece of the document refers to. */
export const referenced = (value: unknown): ReadonlyArray<string> =>
  [...JSON.stringify(value).matchAll(reference)].map(([, name]) => name ?? "")

const codesIn = (response: Response): ReadonlyArray<string> =>
  referenced(response).flatMap((name) => (name.startsWith("Error_") ? name.slice("Error_".length).split("_or_") : []))

const isDecodeError = (schema: unknown): boolean =>
  typeof schema === "object" &&
  schema !== null &&
  Reflect.get(schema, "$ref") === "#/components/schemas/HttpApiDecodeError"

/** Without the platform's own answer to a request that it cannot decode: no client gets it (FallbackResponses.ts). */
const withoutDecodeError = (schema: Json): Json | undefined => {
  if (isDecodeError(schema)) return undefined
  const { anyOf, ...rest } = schema
  if (!Array.isArray(anyOf) || !anyOf.some(isDecodeError)) return schema
  const [first, ...others]: ReadonlyArray<Json> = anyOf.filter((one) => !isDecodeError(one))
  return others.length === 0 ? first : { ...rest, anyOf: [first, ...others] }
}

/** What the service itself answers; undefined where only the platform would. */
const ownOf = (response: Response): Response | undefined => {
  if (response.content === undefined) return response
  const content = Object.entries(response.content).flatMap(([type, { schema }]) => {
    const own = withoutDecodeError(schema)
    return own === undefined ? [] : [[type, { schema: own }] as const]
  })
  return content.length === 0 ? undefined : { ...response, content: Object.fromEntries(content) }
}

const header = (description: string) => ({ description, schema: { type: "string" } })

const requestIdHeader = { "X-Request-Id": header("That of the request where it was acceptable, else a new one.") }
const challengeHeader = {
  "WWW-Authenticate": header("What kind of token is asked for, and what is wrong with this one.")
}
const retryHeader = { "Retry-After": header("Seconds, where they can be told.") }

const auditIdHeader = {
  "X-Audit-Id": header("The id of the answer's row in the trail, where there is one.")
}

const headersOf = (status: string, isError: boolean, hasRow: boolean) => ({
  ...requestIdHeader,
  ...(hasRow && auditIdHeader),
  ...(isError && status === "401" && challengeHeader),
  ...(isError && (status === "429" || status === "503") && retryHeader)
})

const described = (status: string, response: Response, hasRow: boolean): Response => {
  const codes = codesIn(response)
  return {
    ...response,
    ...(codes.length > 0 && { description: meaningOf(...codes) }),
    headers: headersOf(status, codes.length > 0, hasRow)
  }
}

const errorContent = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } }

/** The answers of the listener and of the server around the routes: any route may have them. */
export const otherErrors = {
  description:
    "Every other error has this shape: 400, 408 or 431 `unreadable_request`, 500 `internal_error`, 503 `shutting_down`.",
  headers: requestIdHeader,
  content: errorContent
}

const unprocessable = { description: meaningOf("invalid_request"), headers: requestIdHeader, content: errorContent }

/** The operation as it is answered. A route that can answer 401 needs a token, and its answers have rows; the others do not. */
export const operation = (given: Operation): Operation => {
  const hasRow = "401" in given.responses
  const takesInput = given["requestBody"] !== undefined || given.parameters.length > 0
  const responses: Record<string, Response> = {}
  for (const [status, response] of Object.entries(given.responses)) {
    const own = ownOf(response)
    if (own !== undefined) responses[status] = described(status, own, hasRow)
    else if (takesInput && !("422" in given.responses)) responses["422"] = unprocessable
  }
  return {
    ...given,
    security: "401" in responses && given.security.length === 0 ? [{ bearer: [] }] : given.security,
    responses: { ...responses, default: otherErrors }
  }
}
