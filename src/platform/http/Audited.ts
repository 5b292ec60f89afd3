import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { byStatus } from "../../contracts/Endpoint.ts"
import type { ErrorCode } from "../../contracts/ErrorCodes.ts"
import { maximumLength } from "../../contracts/gatekeeper/AccessSchemas.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { codePoints, isLongerThan } from "../../domain/Text.ts"
import { type JsonResponse, jsonResponse, type Refusal, refusalJson, toServerResponse } from "./ErrorResponse.ts"
import type { JsonOperation, JsonRequest } from "./FastLane.ts"
import { LocalOperations } from "./LocalCalls.ts"
import { requestId } from "./RequestContext.ts"
import { type Decoded, type DecodingError, partsOf, type RequestParts, requestDecoder } from "./RequestDecoding.ts"

/** What a service knows of a request when it authorises and records it. */
export interface Question {
  readonly requestId: string
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined
  /** The operation's name in the trail. Only the guardian's access uses it: the others record decisions and failures. */
  readonly event: string
  readonly action: string
  readonly resource: string
  /** What the decision's row says of the request. */
  readonly facts: Facts
}

/** An error of the contract, as an operation fails with it. */
export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** The part of the request that is wrong. */
  readonly field?: string | undefined
  /** Of the row that the operation recorded for it; by default the answer names the row of the permission. */
  readonly auditId?: string | undefined
  /** Further fields of `error`, as the contract declares them for the code. */
  readonly more?: Readonly<Record<string, unknown>>
}

interface Reply<Success> {
  readonly body: Success
  /** Needed where the contract declares several successes. */
  readonly status?: number
}

/**
 * How a service decides about its requests and records them. `Recorded` is the part of a reply that the service records. It
 * records every failure before it answers, or answers that the trail does not accept the event.
 */
export interface Access<Caller, Recorded> {
  /** Authenticates the caller and asks the policy. */
  readonly authorize: (question: Question) => Effect.Effect<Grant<Caller, Recorded>, Refusal>
  /** Refuses a request that is not valid. A caller who is not authenticated learns only that. */
  readonly refuseMalformed: (question: Question, problem: Failure) => Effect.Effect<never, Refusal>
  /** Records any other failure before the authentication, as DENIED, and fails with its code. Only `run` says what exists. */
  readonly refuse: (question: Question, failure: Failure) => Effect.Effect<never, Refusal>
}

export interface Grant<Caller, Recorded> {
  readonly caller: Caller
  /** Runs the operation and records its outcome. Takes back what was done if recording fails. */
  readonly settle: <R extends Recorded>(
    run: Effect.Effect<R, Failure>
  ) => Effect.Effect<{ readonly reply: R; readonly auditId: string }, Refusal>
  /** Takes back what was done for a reply that cannot be encoded, in a service whose operations change something. */
  readonly compensate?: (reply: Recorded) => Effect.Effect<unknown>
}

/** The resource of a request, and its operation. `run` uses the rows that the look-up read, so both see the same data. */
export interface Target<Caller, Recorded, Success, E> {
  readonly resource: string
  readonly facts?: Facts
  readonly run: (caller: Caller) => Effect.Effect<Reply<Success> & Recorded, E>
}

export interface Operation<Request, Caller, Recorded, Success, E> {
  /** Names it in the trail. */
  readonly event: string
  /** What the policy is asked for. */
  readonly action: "read" | "write" | "execute" | "create"
  /** The resource of a request whose own cannot be read. */
  readonly fallbackResource: string
  /** Of the decision's row, where the target has none of its own or the request is not valid. */
  readonly facts?: (request: Pick<RequestParts, "url">) => Facts
  /** Decodes no further: it may look up what the resource is made of. Nothing is authorised yet, and `authorization` is not verified. */
  readonly target: (
    request: Request,
    asking: Pick<Question, "authorization">
  ) => Effect.Effect<Target<Caller, Recorded, Success, E>, E | InvalidRequest>
}

/** Errors that the adapter or `Access` can produce for every endpoint; the groups of the contract declare them. */
type CommonCode = "invalid_request" | "database_unavailable" | "peer_unavailable" | "audit_unavailable"

/** The codes that the contract of an endpoint declares; its operation fails only with these. */
type DeclaredCode<Error> = Error extends { readonly error: { readonly code: infer Code } } ? Code : never

/** The JSON text of a success, by its status. */
const successEncoder = <Success>(schema: Schema.Schema<Success, unknown>) => {
  const declared = byStatus(schema, HttpApiSchema.getStatusSuccess)
  const encoders = new Map(declared.map(([status, one]) => [status, Schema.encode(one)]))
  const [lowest = 200] = encoders.keys()
  return ({ body, status = lowest }: Reply<Success>) => {
    const encode = encoders.get(status)
    return encode === undefined
      ? Effect.dieMessage(`the contract has no success with the status ${status}`)
      : Effect.map(Effect.orDie(encode(body)), (encoded) => ({ status, text: JSON.stringify(encoded) }))
  }
}

const tooLong = (resource: string) =>
  new InvalidRequest({
    reason:
      `the names are too long together: the resource ${JSON.stringify(resource.slice(0, 40))}… has ${codePoints(resource)} ` +
      `characters; at most ${maximumLength.resource} are allowed`
  })

/** The row of a defect before the authorisation. */
const earlyFault: Failure = { code: "internal_error", message: "the service failed, and nothing was done" }

/** The row of a defect of an operation. The caller gets the fallback response; the log has the cause under the request's id. */
export const fault: Failure = {
  code: "internal_error",
  message: "the service failed, and what was asked may have been done"
}

interface AuditedRequest extends Pick<JsonRequest, "requestId" | "authorization"> {
  readonly parts: RequestParts
}

const isAbsent = (part: Option.Option<unknown>): boolean => Option.isNone(part)

type AnswerRequest = (request: AuditedRequest) => Effect.Effect<JsonResponse>

const overHttp = (answer: AnswerRequest) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    partsOf(request).pipe(
      Effect.flatMap((parts) =>
        answer({ requestId: requestId(request), authorization: request.headers["authorization"], parts })
      ),
      Effect.map(toServerResponse)
    )
  )

const inProcess = (path: string, answer: AnswerRequest): JsonOperation => {
  const noParts = { params: {}, url: path, headers: {}, hasBody: true }
  return ({ authorization, body, requestId }) =>
    answer({ requestId, authorization, parts: { ...noParts, body: Effect.succeed(body) } })
}

/**
 * Makes a service's `audited(endpoint, operation)`: it registers the route of an endpoint of the contract, and the same operation for
 * clients in this process. In order: decode the request, find its resource, authorise, run, encode, record. `handle` of
 * @effect/platform answers malformed requests itself, so they would have no row.
 */
export const auditedBy =
  <Self, Caller, Recorded>(tag: Context.Tag<Self, Access<Caller, Recorded>>) =>
  <
    Name extends string,
    Method extends HttpMethod,
    Path,
    UrlParams,
    Payload,
    Headers,
    Success,
    Failures,
    E extends { readonly code: ErrorCode & (DeclaredCode<Failures> | CommonCode); readonly message: string }
  >(
    endpoint: HttpApiEndpoint.HttpApiEndpoint<Name, Method, Path, UrlParams, Payload, Headers, Success, Failures>,
    operation: Operation<Decoded<Path, UrlParams, Payload, Headers>, Caller, Recorded, Success, E>
  ): Effect.Effect<void, never, HttpApiBuilder.Router | LocalOperations | Self> =>
    Effect.gen(function* () {
      const access = yield* tag
      const local = yield* LocalOperations
      const router = yield* HttpApiBuilder.Router
      const decode = requestDecoder(endpoint)
      const encode = successEncoder(endpoint.successSchema)
      const { action, event, fallbackResource } = operation

      const find = (decoded: Decoded<Path, UrlParams, Payload, Headers>, asking: Question) =>
        Effect.filterOrFail(
          operation.target(decoded, asking),
          ({ resource }) => !isLongerThan(resource, maximumLength.resource),
          ({ resource }) => tooLong(resource)
        )

      const settled = Effect.fnUntraced(function* ({ authorization, parts, requestId }: AuditedRequest) {
        const question: Question = {
          requestId,
          authorization,
          event,
          action,
          resource: fallbackResource,
          facts: operation.facts?.(parts) ?? {}
        }
        const { facts, resource, run } = yield* decode(parts).pipe(
          Effect.flatMap((decoded) => find(decoded, question)),
          Effect.catchAll((problem: E | DecodingError) =>
            problem.code === "invalid_request" || problem.code === "body_too_large"
              ? access.refuseMalformed(question, problem)
              : access.refuse(question, problem)
          ),
          Effect.tapDefect(() => Effect.ignore(access.refuse(question, earlyFault)))
        )
        const { caller, compensate, settle } = yield* access.authorize({
          ...question,
          resource,
          facts: facts ?? question.facts
        })
        const done = Effect.flatMap(
          // Suspended, so that `settle` also records what `run` throws.
          Effect.suspend(() => run(caller)),
          (reply) =>
            encode(reply).pipe(
              Effect.tapDefect(() => compensate?.(reply) ?? Effect.void),
              Effect.map((encoded) => ({ ...reply, ...encoded }))
            )
        )
        const { auditId, reply } = yield* settle(done)
        return jsonResponse(reply.text, {
          status: reply.status,
          headers: { "cache-control": "no-store", "x-audit-id": auditId }
        })
      })
      const answer = (request: AuditedRequest) =>
        Effect.catchTag(settled(request), "Refusal", (refusal) =>
          Effect.succeed(refusalJson(refusal, request.requestId))
        )

      yield* router.addRoute(HttpRouter.makeRoute(endpoint.method, endpoint.path, overHttp(answer)))
      // A client in this process sends a body alone.
      const { headersSchema, method, path, pathSchema, payloadSchema, urlParamsSchema } = endpoint
      const isBodyAlone = Option.isSome(payloadSchema) && [headersSchema, pathSchema, urlParamsSchema].every(isAbsent)
      if (method === "POST" && isBodyAlone) local.add(path, inProcess(path, answer))
    })

/** The layer of a service's routes: `routes` registers them, by `audited`. */
export const auditedRoutes = <E, R>(routes: Effect.Effect<void, E, R>) =>
  Layer.provide(Layer.effectDiscard(routes), [HttpApiBuilder.Router.Live, LocalOperations.layer])
