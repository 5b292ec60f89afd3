import * as Either from "effect/Either"
import {
  type AccessRequest,
  InvalidAccessRequest,
  nothingClaimed,
  parseAccessRequest,
  textProblem
} from "../AccessRequest.ts"

export interface ExplainRequest extends AccessRequest {
  /** Whom it is about; undefined: the caller. */
  readonly ghostId: string | undefined
}

/** Reads the body of `/explain`: that of `/validate`, and `ghost_id`. */
export const parseExplainRequest = (body: unknown): Either.Either<ExplainRequest, InvalidAccessRequest> =>
  Either.flatMap(parseAccessRequest(body), (request): Either.Either<ExplainRequest, InvalidAccessRequest> => {
    const given: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "ghost_id") : undefined
    if (given === undefined || given === null) return Either.right({ ...request, ghostId: undefined })
    const problem = textProblem("ghost_id", given)
    return problem === undefined
      ? Either.right({ ...request, ghostId: String(given) })
      : Either.left(new InvalidAccessRequest({ problems: [problem], claimed: nothingClaimed }))
  })
