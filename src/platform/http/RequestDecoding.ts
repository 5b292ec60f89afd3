import { isUtf8 } from "node:buffer"
import type { IncomingMessage } from "node:http"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import * as HttpRouter from "@effect/platform/HttpRouter"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { BodyTooLarge, InvalidRequest } from "../../contracts/ApiError.ts"
import { OptionalBody, UnknownFields } from "../../contracts/Endpoint.ts"
import { DuplicateKey, parseExactJson } from "../../domain/JsonText.ts"
import { type DecodedBody, decodeBody } from "./ContentEncoding.ts"

/** Bytes of a request body; no request of the contracts needs more. */
export const maximumBodyBytes = 64 * 1024

export type DecodingError = InvalidRequest | BodyTooLarge

const invalid = (reason: string, field?: string) => new InvalidRequest({ reason, field })

/** The text of a request's body, which should be JSON, or why there is none. */
type BodyText = Either.Either<string, DecodingError>

/** The body of a request as JSON, or why there is none. */
export type JsonBody = Either.Either<unknown, DecodingError>

const notJson = (problem: string) => Either.left(invalid(`the request body is not JSON: ${problem}`))

export const tooLargeBody = (limit: number) =>
  Either.left(new BodyTooLarge({ reason: `the request body is larger than ${limit} bytes` }))

/** V8's reason without the input that it quotes, which may be secret. */
const parserReason = /^(Unexpected token '[^']*'|Unexpected end of JSON input|[^"]*? at position \d+)/

const utf8 = new TextDecoder("utf-8", { fatal: true })

const textOf = (bytes: Buffer): BodyText => {
  if (bytes.length === 0) return notJson("it is empty")
  try {
    return Either.right(utf8.decode(bytes))
  } catch {
    return notJson("it is not UTF-8")
  }
}

/** The start of a caller's text, for a message. */
const start = (text: string): string => text.slice(0, 50).toWellFormed()

/** Programs differ in which of two members counts (RFC 8259, section 4): the one that decides might read another than the one that acts. */
const repeated = ({ path }: DuplicateKey): JsonBody => {
  const named = `the request body has the key ${JSON.stringify(start(path.at(-1) ?? ""))} twice`
  const above = path.slice(0, -1).join(".")
  const [first = ""] = path
  return Either.left(
    invalid(above === "" ? `${named} in one object` : `${named} in ${JSON.stringify(start(above))}`, start(first))
  )
}

/** Parses the body of a request whose bytes are decoded. */
export const parseJsonText = (text: string): JsonBody => {
  try {
    return Either.right(parseExactJson(text))
  } catch (thrown) {
    if (thrown instanceof DuplicateKey) return repeated(thrown)
    const reason = thrown instanceof SyntaxError ? parserReason.exec(thrown.message)?.[0] : undefined
    return notJson(reason ?? "it cannot be parsed")
  }
}

/**
 * Reads a request's body, decoded, and calls `done` once; never if the client hangs up before the end. `limit` bounds the bytes that
 * arrive, and the decoded ones.
 *
 * It reads the socket's chunks itself, since the platform reports a body over its limit and a broken connection as the same
 * error: the first is answered 413, the second not at all.
 */
const readBytes = (message: IncomingMessage, limit: number, done: (bytes: DecodedBody) => void): void => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  const finish = (body: DecodedBody) => {
    message.off("data", onData)
    message.off("end", onEnd)
    const encoding = message.headers["content-encoding"]
    if (encoding === undefined || !Buffer.isBuffer(body) || body.length === 0) done(body)
    else decodeBody(body, encoding, limit, done)
  }
  const tooLarge = () => {
    finish("tooLarge")
    // The rest is read and dropped, so that the client can read the answer; the server's requestTimeout limits it.
    message.resume()
  }
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limit) return tooLarge()
    chunks.push(chunk)
  }
  const onEnd = () => finish(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
  if (Number(message.headers["content-length"]) > limit) tooLarge()
  else message.on("data", onData).on("end", onEnd)
}

/** Reads the text of a request's body, and calls `done` once; never if the client hangs up before the end. */
const readBodyText = (message: IncomingMessage, limit: number, done: (body: BodyText) => void): void =>
  readBytes(message, limit, (bytes) =>
    done(
      bytes === "tooLarge"
        ? tooLargeBody(limit)
        : "broken" in bytes
          ? Either.left(invalid(`the request body is not ${bytes.broken}, as its Content-Encoding says`))
          : textOf(bytes)
    )
  )

/** Reads a request's body as JSON, and calls `done` once; never if the client hangs up before the end. */
export const readJsonBody = (message: IncomingMessage, limit: number, done: (body: JsonBody) => void): void =>
  readBodyText(message, limit, (text) => done(Either.flatMap(text, parseJsonText)))

/** Reads a request's body as text; undefined where it is too large, not of its Content-Encoding or not UTF-8. */
export const readText = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<string | undefined> =>
  Effect.async((resume) =>
    readBytes(NodeHttpServerRequest.toIncomingMessage(request), maximumBodyBytes, (bytes) =>
      resume(Effect.sync(() => (Buffer.isBuffer(bytes) && isUtf8(bytes) ? bytes.toString("utf8") : undefined)))
    )
  )

/** Reads a body as JSON, whatever its content type is: clients of the former system differ in it. A client that hangs up interrupts it. */
export const readJson = (
  request: HttpServerRequest.HttpServerRequest,
  limit = maximumBodyBytes
): Effect.Effect<unknown, DecodingError> =>
  Effect.async((resume) =>
    readJsonBody(NodeHttpServerRequest.toIncomingMessage(request), limit, (body) => resume(body))
  )

/** The same, with the text: what is passed on from it keeps its bytes. */
export const readJsonAndText = (
  request: HttpServerRequest.HttpServerRequest,
  limit: number
): Effect.Effect<{ readonly value: unknown; readonly text: string }, DecodingError> =>
  Effect.async((resume) =>
    readBodyText(NodeHttpServerRequest.toIncomingMessage(request), limit, (text) =>
      resume(Either.flatMap(text, (text) => Either.map(parseJsonText(text), (value) => ({ value, text }))))
    )
  )

type Request = HttpServerRequest.HttpServerRequest

/** A request with nothing but mistakes would be answered, and recorded, many times as long as it is. */
const maximumProblems = 3

/** The part of a URL after its "?". */
export const searchOf = (url: string): string => {
  const mark = url.indexOf("?")
  return mark === -1 ? "" : url.slice(mark + 1)
}

/** What a schema says without a message of its own. It quotes the value, which may be secret, so it is not repeated. */
const isDefault = ({ message }: ParseResult.ArrayFormatterIssue): boolean => message.startsWith("Expected ")

/** Says what is wrong with each field: of the members of a union, those that say it in words of their own. Names the first field. */
const refusalOf = (error: ParseResult.ParseError, known: string, part: "parameter" | "field"): InvalidRequest => {
  const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
  const worded = new Set(issues.filter((issue) => !isDefault(issue)).map(({ path }) => path.join(".")))
  const problems = new Set<string>()
  for (const issue of issues) {
    const field = issue.path.join(".")
    if (issue._tag === "Unexpected") {
      problems.add(`unknown ${part} ${JSON.stringify(start(field))}; known: ${known}`)
    } else if (isDefault(issue)) {
      if (!worded.has(field)) problems.add(`"${field}" is not valid`)
    } else problems.add(field === "" ? issue.message : `"${field}" ${issue.message}`)
  }
  const more = problems.size - maximumProblems
  const told = [...problems].slice(0, maximumProblems).join("; ")
  const [first] = issues[0]?.path ?? []
  return invalid(more > 0 ? `${told}; and ${more} more` : told, first === undefined ? undefined : start(String(first)))
}

/**
 * Decodes with a schema of the contract, all problems at once. `excess`: how a name is called that the schema does not know, where it is
 * refused; it may be a misspelt one.
 */
const decoder = <A>(declared: Option.Option<Schema.Schema<A, unknown>>, excess?: "parameter" | "field") => {
  if (Option.isNone(declared)) return undefined
  const schema = declared.value
  const known = AST.getPropertySignatures(AST.encodedAST(schema.ast))
    .map(({ name }) => String(name))
    .join(", ")
  const decode = Schema.decodeUnknown(schema, {
    errors: "all",
    onExcessProperty: excess === undefined ? "ignore" : "error"
  })
  return (given: unknown) => Effect.mapError(decode(given), (error) => refusalOf(error, known, excess ?? "field"))
}

const queryOf = (url: string): Readonly<Record<string, string | ReadonlyArray<string>>> => {
  const values = new Map<string, Array<string>>()
  for (const [name, value] of new URLSearchParams(searchOf(url))) {
    const before = values.get(name)
    if (before === undefined) values.set(name, [value])
    else before.push(value)
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? String(all[0]) : all]))
}

const hasBody = ({ headers }: Request): boolean =>
  headers["transfer-encoding"] !== undefined || !["0", undefined].includes(headers["content-length"])

/** What the decoder reads of a request: one that came over HTTP, or from a client in this process. */
export interface RequestParts {
  readonly params: Readonly<Record<string, string | undefined>>
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly hasBody: boolean
  readonly body: Effect.Effect<JsonBody>
}

export const partsOf = (request: Request): Effect.Effect<RequestParts, never, HttpRouter.RouteContext> =>
  Effect.map(HttpRouter.RouteContext, ({ params }) => ({
    params,
    url: request.url,
    headers: request.headers,
    hasBody: hasBody(request),
    body: Effect.either(readJson(request))
  }))

const objectOf = (body: JsonBody, isOptional: boolean): Either.Either<unknown, DecodingError> =>
  body.pipe(
    Either.map((value) => (isOptional && value === null ? {} : value)),
    Either.filterOrLeft(Predicate.isReadonlyRecord, () => invalid("the request body must be a JSON object"))
  )

/** The parts of a request that an endpoint declares; a part that it does not declare has the type `never`. */
export interface Decoded<Path, UrlParams, Payload, Headers> {
  readonly path: Path
  readonly urlParams: UrlParams
  readonly payload: Payload
  readonly headers: Headers
}

type DeclaredRequest<Path, UrlParams, Payload, Headers> = Pick<
  HttpApiEndpoint.HttpApiEndpoint<string, HttpMethod, Path, UrlParams, Payload, Headers>,
  "pathSchema" | "urlParamsSchema" | "payloadSchema" | "headersSchema" | "annotations"
>

/** Makes the decoder of an endpoint's requests. It reports the first part with a problem: path, query, headers, body. */
export const requestDecoder = <Path, UrlParams, Payload, Headers>(
  endpoint: DeclaredRequest<Path, UrlParams, Payload, Headers>
) => {
  const decodePath = decoder(endpoint.pathSchema)
  const decodeQuery = decoder(endpoint.urlParamsSchema, "parameter")
  const decodeHeaders = decoder(endpoint.headersSchema)
  const isStrict = Context.get(endpoint.annotations, UnknownFields) === "refused"
  const decodePayload = decoder(endpoint.payloadSchema, isStrict ? "field" : undefined)
  const isBodyOptional = Context.get(endpoint.annotations, OptionalBody)
  return Effect.fnUntraced(function* (parts: RequestParts) {
    const decoded: Partial<Decoded<Path, UrlParams, Payload, Headers>> = {
      ...(decodePath && { path: yield* decodePath(parts.params) }),
      ...(decodeQuery && { urlParams: yield* decodeQuery(queryOf(parts.url)) }),
      ...(decodeHeaders && { headers: yield* decodeHeaders(parts.headers) }),
      ...(decodePayload && {
        payload: yield* decodePayload(
          isBodyOptional && !parts.hasBody ? {} : yield* objectOf(yield* parts.body, isBodyOptional)
        )
      })
    }
    // What is not declared has the type `never`, so that no operation can read it.
    return decoded as Decoded<Path, UrlParams, Payload, Headers>
  })
}
