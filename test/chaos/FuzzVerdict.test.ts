import { describe, expect, it } from "@effect/vitest"
import type { Endpoint } from "./harness/fuzz/Document.ts"
import { type Answer, isDecided, problemOf } from "./harness/fuzz/Verdict.ts"

const endpoint: Endpoint = {
  url: "http://127.0.0.1:1",
  method: "POST",
  path: "/validate",
  query: [],
  body: {},
  statuses: new Set([200, 401, 403, 422, 503]),
  schemas: {}
}

const refused = (code: string, more: object = {}) =>
  JSON.stringify({ error: { code, message: "no", request_id: "r-1", ...more }, detail: "no" })

const audited = { audit_id: "0197d7a4-0000-7000-8000-000000000000" }

/** What a fuzz of the services looks for, each fault once. */
const cases: ReadonlyArray<readonly [string, method: string, Answer, problem: string | undefined]> = [
  ["an allowed request", "POST", { status: 200, headers: {}, text: "{}" }, undefined],
  ["a refusal with its row", "POST", { status: 403, headers: {}, text: refused("access_denied", audited) }, undefined],
  ["a documented failure", "POST", { status: 503, headers: {}, text: refused("audit_unavailable") }, undefined],
  ["another method", "PUT", { status: 405, headers: {}, text: refused("method_not_allowed") }, undefined],
  ["a failure", "POST", { status: 500, headers: {}, text: refused("internal_error") }, "status 500"],
  [
    "a failure of another method",
    "PUT",
    { status: 503, headers: {}, text: refused("audit_unavailable") },
    "status 503"
  ],
  ["a status that no document has", "POST", { status: 418, headers: {}, text: refused("teapot") }, "status 418"],
  ["a head that no server reads", "POST", { status: 400, headers: {}, text: refused("unreadable_request") }, undefined],
  ["a refusal that no document has", "POST", { status: 400, headers: {}, text: refused("bad_request") }, "status 400"],
  ["an empty error", "POST", { status: 422, headers: {}, text: "" }, "no documented shape"],
  ["the platform's own error", "POST", { status: 422, headers: {}, text: '{"_tag":"X"}' }, "no documented shape"],
  [
    "an error of another request",
    "POST",
    { status: 422, headers: { "x-request-id": "r-2" }, text: refused("x") },
    "another X-Request-Id"
  ],
  ["a decision without a row", "POST", { status: 403, headers: {}, text: refused("access_denied") }, "names no row"],
  [
    "an answer without an id",
    "POST",
    { status: 200, headers: { "x-request-id": undefined }, text: "{}" },
    "no X-Request-Id"
  ]
]

describe("the verdict on an answer to malformed input", () => {
  for (const [what, method, answer, problem] of cases) {
    it(`${problem === undefined ? "accepts" : "sees"} ${what}`, () => {
      const input = { endpoint, method, target: "/validate", headers: { "x-request-id": "r-1" }, body: undefined }
      const found = problemOf(input, { ...answer, headers: { "x-request-id": "r-1", ...answer.headers } })
      if (problem === undefined) expect(found).toBeUndefined()
      else expect(found).toContain(problem)
    })
  }
})

describe("what has to have a row", () => {
  it.each([
    ["an allowed request", endpoint, "POST", 200, "{}", true],
    ["an invalid request that is refused", endpoint, "POST", 422, refused("invalid_request"), true],
    ["a request without a caller", endpoint, "POST", 401, refused("unauthenticated", audited), true],
    ["a request that the trail could not record", endpoint, "POST", 503, refused("audit_unavailable"), false],
    ["a method without a route", endpoint, "PUT", 405, refused("method_not_allowed"), false],
    ["a malformed path", endpoint, "POST", 400, refused("unreadable_request"), false],
    ["what a lease allows", { ...endpoint, path: "/sessions/keep" }, "POST", 200, "{}", false],
    ["a malformed request for it", { ...endpoint, path: "/sessions/keep" }, "POST", 422, refused("x"), true],
    ["a refused request for it", { ...endpoint, path: "/stops" }, "POST", 403, refused("x", audited), true],
    ["a route without authentication", { ...endpoint, statuses: new Set([200, 503]) }, "POST", 200, "{}", false]
  ] as const)("%s", (_, endpoint, method, status, text, expected) => {
    const input = { endpoint, method, target: "/validate", headers: {}, body: undefined }
    expect(isDecided(input, { status, headers: {}, text })).toBe(expected)
  })
})
