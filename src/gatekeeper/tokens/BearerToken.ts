import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { AuditEvent, RecorderMark } from "../../domain/AuditEvent.ts"

/** The ghost of every request with `AUTH_DISABLED=true`. No token may name it, so a row of this ghost was never authenticated. */
export const anonymousGhost = "anonymous"

const marks: ReadonlyArray<RecorderMark> = ["auth:disabled"]

/** Marks an event that an unauthenticated caller asked for or brought, also where the subject is another ghost. */
export const markAnonymous = (event: AuditEvent, askedBy = event.ghostId): AuditEvent =>
  askedBy === anonymousGhost ? { ...event, marks } : event

/** The request has no token that proves who the caller is. `reason` is recorded and holds no part of the token. */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  problem: Schema.Literal("missing", "scheme", "expired", "invalid"),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** Characters. No issuer needs more, and a longer token would be hashed as a whole before it is refused. */
const maximumLength = 8 * 1024

/** RFC 6750, section 2.1; the case of the scheme does not matter (RFC 9110, section 11.1). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

/** Returns the token in the value of an `Authorization` header. */
export const bearerToken = (authorization: string | undefined): Either.Either<string, Unauthenticated> => {
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
    : Either.right(token)
}
