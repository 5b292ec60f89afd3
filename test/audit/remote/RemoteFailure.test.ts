import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { describe, expect, it } from "@effect/vitest"
import { makeBatch } from "../../../src/audit/queue/Batch.ts"
import { refusalOf, unansweredBy } from "../../../src/audit/remote/RemoteCalls.ts"
import { decideRetry } from "../../../src/audit/writer/RetryDecision.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

const batch = makeBatch(rowsOf(4))

const decisionAfter = (error: ReturnType<typeof refusalOf>) => {
  const decision = decideRetry(batch, error)
  return [decision._tag, "batch" in decision ? decision.batch.certain : undefined]
}

const body = (code: string) => JSON.stringify({ error: { code, message: "why", request_id: "1" }, detail: "why" })

describe("what a drain does after an answer of the gatekeeper", () => {
  it.each([
    [503, body("audit_unavailable"), ["wait", true]],
    [503, body("shutting_down"), ["wait", true]],
    [503, body("keys_unavailable"), ["wait", true]],
    [503, body("trail_unreachable"), ["wait", true]],
    [401, body("unauthenticated"), ["pause", true]],
    [403, body("access_denied"), ["pause", true]],
    [403, body("source_of_another"), ["pause", true]],
    [404, body("not_found"), ["pause", true]],
    [422, body("invalid_request"), ["pause", true]],
    [413, body("body_too_large"), ["split", undefined]],
    // It may have been done.
    [500, body("internal_error"), ["wait", false]],
    [502, "<html>bad gateway</html>", ["wait", false]],
    [200, "", ["wait", false]]
  ] as const)("%i %s", (status, text, expected) => {
    expect(decisionAfter(refusalOf(status, text))).toEqual(expected)
  })

  it.each([
    ["ECONNREFUSED", true],
    ["UND_ERR_CONNECT_TIMEOUT", true],
    ["ECONNRESET", false],
    ["UND_ERR_SOCKET", false],
    [undefined, false]
  ])("none, since %s", (code, certain) => {
    const cause = Object.assign(new Error("failed"), code === undefined ? {} : { cause: { code } })
    const request = HttpClientRequest.post("http://127.0.0.1:1")
    const error = unansweredBy(new HttpClientError.RequestError({ request, reason: "Transport", cause }))
    expect(decisionAfter(error)).toEqual(["wait", certain])
  })
})
