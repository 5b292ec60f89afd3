import type { IncomingMessage } from "node:http"
import type { ErrorCode } from "../../contracts/ErrorCodes.ts"
import { unreadableRequest } from "./Connections.ts"
import { unsupportedEncoding } from "./ContentEncoding.ts"
import type { ErrorFields } from "./ErrorResponse.ts"
import { type BrowserRules, foreignRequest } from "./ForeignRequest.ts"

/** Why a request is answered before its handler, which would record it: nothing in it was read as a question. */
interface EarlyRefusal {
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
  readonly more?: ReturnType<ErrorFields>
  readonly headers?: Readonly<Record<string, string>>
}

const hostless: EarlyRefusal = {
  status: 400,
  code: unreadableRequest,
  message: "an HTTP/1.1 request names its host"
}

/** RFC 9112, section 3.2: a server must refuse an HTTP/1.1 request without a Host. Node's refusal has neither id nor body. */
const namesNoHost = ({ headers, httpVersion }: IncomingMessage): boolean =>
  httpVersion === "1.1" && headers.host === undefined

/** Headers with one value. Of two, Node reads the first; a proxy in front may have read the last, and let another caller in. */
const singleHeaders = ["authorization", "host"]

/** The header that is there twice, by RFC 9112, section 3.2, and RFC 9110, section 5.3. */
const repeatedHeader = ({ rawHeaders }: IncomingMessage): string | undefined => {
  const seen = new Set<string>()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] ?? ""
    const name = singleHeaders.find((one) => one.length === given.length && one === given.toLowerCase())
    if (name === undefined) continue
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

/** Why programs may read another request than this one; undefined where they cannot. */
const ambiguous = (request: IncomingMessage): EarlyRefusal | undefined => {
  const name = repeatedHeader(request)
  // RFC 9112, section 6.1. Node passes over any other coding, and would give the body as it came.
  const coding = request.headers["transfer-encoding"]
  const message =
    name !== undefined
      ? `the request has the header ${name} more than once`
      : coding !== undefined && coding.toLowerCase() !== "chunked"
        ? "the Transfer-Encoding of a request may only be chunked"
        : undefined
  return message === undefined ? undefined : { status: 400, code: unreadableRequest, message }
}

export const earlyRefusal = (
  request: IncomingMessage,
  browsers: BrowserRules,
  errorFields: ErrorFields
): EarlyRefusal | undefined => {
  const problem: EarlyRefusal | undefined = namesNoHost(request)
    ? hostless
    : (ambiguous(request) ?? foreignRequest(request, browsers) ?? unsupportedEncoding(request))
  return problem === undefined ? undefined : { ...problem, more: errorFields(problem.status, request.url ?? "") }
}
