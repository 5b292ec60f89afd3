import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readJson } from "../platform/http/RequestBody.ts"
import { InvalidRequest } from "./Answering.ts"
import { badgeProblem, nameProblem } from "./Names.ts"
import { type ListQuery, parseListQuery, type QueryShape, searchOf } from "./RequestQuery.ts"

type Request = HttpServerRequest.HttpServerRequest

const invalid = (reason: string) => new InvalidRequest({ code: "invalid_request", reason })

/** The request's body, as `parse` understands it. */
export const bodyOf =
  <A>(parse: (body: unknown) => Either.Either<A, string>) =>
  (request: Request): Effect.Effect<A, InvalidRequest> =>
    readJson(request).pipe(
      Effect.mapError((error) =>
        error._tag === "RequestBodyTooLarge"
          ? new InvalidRequest({ code: "body_too_large", reason: error.message })
          : invalid(error.message)
      ),
      Effect.flatMap((body) => Either.mapLeft(parse(body), invalid))
    )

const hasBody = ({ headers }: Request): boolean =>
  headers["transfer-encoding"] !== undefined || !["0", undefined].includes(headers["content-length"])

/** The same of a body that may be left out; `parse` gets undefined then. */
export const optionalBodyOf =
  <A>(parse: (body: unknown) => Either.Either<A, string>) =>
  (request: Request): Effect.Effect<A, InvalidRequest> =>
    hasBody(request) ? bodyOf(parse)(request) : Either.mapLeft(parse(undefined), invalid)

/** The query of a list. */
export const queryOf =
  (shape: QueryShape) =>
  (request: Request): Effect.Effect<ListQuery, InvalidRequest> =>
    Either.mapLeft(parseListQuery(searchOf(request.url), shape), invalid)

/** The ghost, and the badge where there is one, of a path. */
export const badgePathOf = <P extends { readonly ghost: string; readonly badge?: string }>(
  path: P
): Effect.Effect<P, InvalidRequest> => {
  const problems = [
    nameProblem("ghost", path.ghost),
    path.badge === undefined ? undefined : badgeProblem("badge", path.badge)
  ].filter((problem) => problem !== undefined)
  return problems.length > 0 ? Effect.fail(invalid(problems.join("; "))) : Effect.succeed(path)
}

/** A certificate's public id: a UUID. */
export const certificateIdOf = (id: string): Effect.Effect<string, InvalidRequest> =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
    ? Effect.succeed(id.toLowerCase())
    : Effect.fail(invalid("a certificate's id is a UUID, as POST /certificates answered it"))
