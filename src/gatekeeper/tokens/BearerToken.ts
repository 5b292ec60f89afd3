import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/** The request names nobody that can be believed. `reason` is for the trail and holds nothing of the token. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  problem: Schema.Literal("missing", "scheme", "expired", "invalid"),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

export interface BearerToken {
  readonly token: string
}

/** Of more nobody has use; the whole of it would be hashed before it is refused. */
const maximumLength = 8 * 1024

/** RFC 6750, section 2.1; the scheme's case is free (RFC 9110, section 11.1). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

/** The token in the value of an `Authorization` header. */
export const bearerToken = (authorization: string | undefined): Either.Either<BearerToken, Unauthenticated> => {
  if (authorization === undefined || authorization.trim() === "") {
    return Either.left(new Unauthenticated({ problem: "missing", reason: "Missing Authorization header" }))
  }
  const token = bearer.exec(authorization)?.[1]
  if (token === undefined) {
    const reason = "the Authorization header is not `Bearer <token>`"
    return Either.left(new Unauthenticated({ problem: "scheme", reason }))
  }
  return token.length > maximumLength
    ? Either.left(
        new Unauthenticated({ problem: "invalid", reason: `the token is longer than ${maximumLength} characters` })
      )
    : Either.right({ token })
}
