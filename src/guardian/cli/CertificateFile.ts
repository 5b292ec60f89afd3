import { createHash } from "node:crypto"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { maximumGhost, maximumVersion } from "../../contracts/guardian/GuardianSchemas.ts"
import { nameProblem } from "../../domain/Spelling.ts"
import { parseJson } from "../../domain/Text.ts"
import { parseSeconds } from "../certificates/CertificateRow.ts"
import { type Claims, issuer } from "../certificates/CertificateSigner.ts"

/** The content of a certificate's file: `{agent_name, issued_at, expires_at, signature, version}`. */
export interface CertificateFile {
  readonly agent: string
  readonly version: number
  /** Seconds since 1970. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly signature: string | undefined
}

export const maximumFileBytes = 64 * 1024

/** `1`, `"1"` or `"1.0"`. */
const readVersion = (given: unknown): number =>
  given === undefined || given === null
    ? 1
    : Number(typeof given === "number" ? given : /^\d{1,10}(\.0+)?$/.test(String(given)) ? given : Number.NaN)

const zoneless = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$/

/** Whether a text is a time but for its zone: the refusal can say so. */
export const lacksZone = (text: string): boolean => zoneless.test(text)

/** Rewrites what PostgreSQL and Python write: a space for the "T", no seconds, a zone without colon. */
export const rfc3339Of = (text: string): string =>
  text
    .replace(/^(\d{4}-\d{2}-\d{2}) /, "$1T")
    .replace(/(:\d{2}(?:\.\d+)?[+-]\d{2})(\d{2})?$/, (_, time: string, minutes = "00") => `${time}:${minutes}`)
    .replace(/T(\d{2}:\d{2})(?=[Zz+-])/, "T$1:00")

const readTime = (field: string, given: unknown, assumeUtc: boolean): Either.Either<number, string> => {
  if (typeof given !== "string") return Either.left(`"${field}" must be a text`)
  if (lacksZone(given) && !assumeUtc) {
    return Either.left(
      `"${field}" has no zone, so it means another moment on each machine (--assume-utc reads it as UTC)`
    )
  }
  const text = !lacksZone(given) ? given : given.length === 10 ? `${given}T00:00:00Z` : `${given}Z`
  return Option.match(parseSeconds(rfc3339Of(text)), {
    onNone: () => Either.left(`"${field}" is not an ISO 8601 time`),
    onSome: Either.right
  })
}

const agentProblem = (given: unknown): string | undefined => {
  if (typeof given !== "string") return given === undefined ? '"agent_name" is missing' : '"agent_name" must be a text'
  const problem = nameProblem(given, maximumGhost)
  return problem === undefined ? undefined : `"agent_name" ${problem}`
}

/** Reads a file's text. Left: every problem. */
export const parseCertificateFile = (
  text: string,
  options: { readonly assumeUtc: boolean }
): Either.Either<CertificateFile, string> => {
  const json = Option.getOrUndefined(parseJson(text))
  if (typeof json !== "object" || json === null || Array.isArray(json)) return Either.left("it is not a JSON object")
  const field = (name: string): unknown => (Object.hasOwn(json, name) ? Reflect.get(json, name) : undefined)
  const issuedAt = readTime("issued_at", field("issued_at"), options.assumeUtc)
  const expiresAt = readTime("expires_at", field("expires_at"), options.assumeUtc)
  const version = readVersion(field("version"))
  const signature = field("signature")
  const problems = [
    agentProblem(field("agent_name")),
    Either.isLeft(issuedAt) ? issuedAt.left : undefined,
    Either.isLeft(expiresAt) ? expiresAt.left : undefined,
    Either.isRight(issuedAt) && Either.isRight(expiresAt) && expiresAt.right <= issuedAt.right
      ? "it expires before it was issued"
      : undefined,
    Number.isInteger(version) && version >= 1 && version <= maximumVersion
      ? undefined
      : '"version" must be a whole number from 1'
  ].filter((problem) => problem !== undefined)
  if (problems.length > 0 || Either.isLeft(issuedAt) || Either.isLeft(expiresAt))
    return Either.left(problems.join("; "))
  return Either.right({
    agent: String(field("agent_name")),
    version,
    issuedAt: issuedAt.right,
    expiresAt: expiresAt.right,
    signature: typeof signature === "string" && signature.trim() !== "" ? signature.trim() : undefined
  })
}

/** Derives the id from the file, so that a second import finds the first one's certificate, however often it was signed again. */
export const claimsOf = (file: CertificateFile): Claims => {
  const digest = createHash("sha256")
    .update(JSON.stringify(["gravitas certificate import", file.agent, file.version, file.issuedAt, file.expiresAt]))
    .digest("hex")
  // A UUID of version 8 (RFC 9562): its bits are the issuer's own.
  const jti = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-8$4-$5")
  return { iss: issuer, jti, sub: file.agent, version: file.version, iat: file.issuedAt, exp: file.expiresAt }
}

/** The fields in which the file differs from the claims that were signed. */
export const differences = (file: CertificateFile, claims: Claims): ReadonlyArray<string> =>
  [
    file.agent === claims.sub ? [] : ["agent_name"],
    file.version === claims.version ? [] : ["version"],
    file.issuedAt === claims.iat ? [] : ["issued_at"],
    file.expiresAt === claims.exp ? [] : ["expires_at"]
  ].flat()
