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

export const earlyRefusal = (
  request: IncomingMessage,
  browsers: BrowserRules,
  errorFields: ErrorFields
): EarlyRefusal | undefined => {
  const problem: EarlyRefusal | undefined = namesNoHost(request)
    ? hostless
    : (foreignRequest(request, browsers) ?? unsupportedEncoding(request))
  return problem === undefined ? undefined : { ...problem, more: errorFields(problem.status, request.url ?? "") }
}
