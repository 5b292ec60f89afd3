import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { parseDuration } from "../platform/config/Setting.ts"
import { readSeconds } from "./Moment.ts"
import { nameProblem, sessionIdProblem } from "./Names.ts"
import { boundMetadata, type KeptMetadata } from "./sessions/SessionMetadata.ts"

type Body = Readonly<Record<string, unknown>>

const bodyOf = (body: unknown): Either.Either<Body, string> =>
  typeof body === "object" && body !== null && !Array.isArray(body)
    ? Either.right(body as Body)
    : Either.left("the request body must be a JSON object")

/** The body's fields, where none of `problems` is one. */
const parsed = <A>(problems: ReadonlyArray<string | undefined>, value: () => A): Either.Either<A, string> => {
  const found = problems.filter((problem) => problem !== undefined)
  return found.length > 0 ? Either.left(found.join("; ")) : Either.right(value())
}

const textProblem = (field: string, value: unknown, limit: number): string | undefined =>
  value === undefined || value === null
    ? undefined
    : typeof value !== "string"
      ? `"${field}" must be a text`
      : value.length > limit
        ? `"${field}" has ${value.length} characters; at most ${limit} are allowed`
        : !value.isWellFormed() || value.includes("\0")
          ? `"${field}" must not hold NUL or half a surrogate pair`
          : undefined

const optionalText = (value: unknown): string | null => (typeof value === "string" ? value : null)

/** `{agent}`. */
export const parseAgent = (given: unknown): Either.Either<{ readonly agent: string }, string> =>
  Either.flatMap(bodyOf(given), (body) =>
    parsed([nameProblem("agent", body["agent"])], () => ({ agent: String(body["agent"]) }))
  )

export interface StartRequest {
  readonly agent: string
  readonly sessionId: string
  readonly kept: KeptMetadata
}

/** `{agent, session_id, metadata?}`. */
export const parseStart = (given: unknown): Either.Either<StartRequest, string> =>
  Either.flatMap(bodyOf(given), (body) =>
    Either.flatMap(
      parsed([nameProblem("agent", body["agent"]), sessionIdProblem("session_id", body["session_id"])], () => body),
      () =>
        Either.map(boundMetadata(body["metadata"]), (kept) => ({
          agent: String(body["agent"]),
          sessionId: String(body["session_id"]),
          kept
        }))
    )
  )

/** `{session_id}`. */
export const parseSession = (given: unknown): Either.Either<{ readonly sessionId: string }, string> =>
  Either.flatMap(bodyOf(given), (body) =>
    parsed([sessionIdProblem("session_id", body["session_id"])], () => ({ sessionId: String(body["session_id"]) }))
  )

/** `{session_id, output_file?}`. */
export const parseEnd = (
  given: unknown
): Either.Either<{ readonly sessionId: string; readonly outputFile: string | null }, string> =>
  Either.flatMap(bodyOf(given), (body) =>
    parsed(
      [sessionIdProblem("session_id", body["session_id"]), textProblem("output_file", body["output_file"], 4_096)],
      () => ({ sessionId: String(body["session_id"]), outputFile: optionalText(body["output_file"]) })
    )
  )

/** `{reason?}`, or nothing at all. */
export const parseRevocation = (given: unknown): Either.Either<{ readonly reason: string | null }, string> =>
  Either.flatMap(bodyOf(given ?? {}), (body) =>
    parsed([textProblem("reason", body["reason"], 500)], () => ({ reason: optionalText(body["reason"]) }))
  )

export interface IssueRequest {
  readonly agent: string
  readonly version: number
  /** Seconds since 1970: the moment from which `expiresAt` was reckoned. */
  readonly issuedAt: number
  readonly expiresAt: number
}

const standardValidity = Duration.days(90)

/** A certificate that nobody has to renew is one that nobody looks at again. */
const longestValidity = Duration.days(3_650)

const maximumVersion = 2_147_483_647

/** Seconds; Left: why there are none. */
const validity = (body: Body, now: number): Either.Either<number, string> => {
  const { valid_for: validFor, expires_at: expiresAt } = body
  if (validFor !== undefined && expiresAt !== undefined) {
    return Either.left('give either "valid_for" or "expires_at", not both')
  }
  if (expiresAt !== undefined) {
    return Option.match(typeof expiresAt === "string" ? readSeconds(expiresAt) : Option.none(), {
      onNone: () => Either.left('"expires_at" must be an ISO 8601 time with a zone, such as 2026-01-31T12:00:00Z'),
      onSome: Either.right
    })
  }
  if (validFor === undefined) return Either.right(now + Duration.toSeconds(standardValidity))
  const duration =
    typeof validFor === "number"
      ? Option.liftPredicate(Duration.seconds(validFor), () => Number.isFinite(validFor))
      : typeof validFor === "string"
        ? parseDuration(validFor)
        : Option.none()
  return Option.match(duration, {
    onNone: () => Either.left('"valid_for" must be a duration such as 90d or 24h, or a number of seconds'),
    onSome: (one) => Either.right(now + Math.floor(Duration.toSeconds(one)))
  })
}

/** `{agent, valid_for?, expires_at?, version?}`; `now` in seconds. */
export const parseIssue = (given: unknown, now: number): Either.Either<IssueRequest, string> =>
  Either.flatMap(bodyOf(given), (body) => {
    const version = body["version"] ?? 1
    const expiresAt = validity(body, now)
    const latest = now + Duration.toSeconds(longestValidity)
    return parsed(
      [
        nameProblem("agent", body["agent"]),
        typeof version === "number" && Number.isInteger(version) && version >= 1 && version <= maximumVersion
          ? undefined
          : '"version" must be a whole number from 1',
        Either.isLeft(expiresAt) ? expiresAt.left : undefined,
        Either.isRight(expiresAt) && !(expiresAt.right > now)
          ? "the certificate would have expired already"
          : undefined,
        Either.isRight(expiresAt) && expiresAt.right > latest
          ? `the certificate would hold longer than ${Duration.format(longestValidity)}`
          : undefined
      ],
      () => ({
        agent: String(body["agent"]),
        version: Number(version),
        issuedAt: now,
        expiresAt: Either.getOrElse(expiresAt, () => now)
      })
    )
  })
