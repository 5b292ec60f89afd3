import { describe, expect, it } from "@effect/vitest"
import { foreignRequest } from "../../../src/platform/http/ForeignRequest.ts"

const rules = { names: ["gravitas.example"], origins: new Set(["https://app.example"]), always: false }
const open = { ...rules, always: true }
const json = { "content-type": "application/json", "content-length": "2" }
const own = { host: "127.0.0.1:8001", origin: "http://127.0.0.1:8001" }

describe("a request that a foreign page may have caused", () => {
  it.each([
    [
      "a client without a browser, any Host and any type",
      "POST",
      { host: "x.example", "content-length": "2" },
      rules,
      undefined
    ],
    ["the service's own page", "POST", { ...own, ...json, "sec-fetch-site": "same-origin" }, rules, undefined],
    [
      "its page by a configured name",
      "POST",
      { host: "gravitas.example", origin: "https://gravitas.example", ...json },
      rules,
      undefined
    ],
    [
      "a page of a configured name, behind a proxy",
      "GET",
      { host: "localhost:8001", origin: "https://gravitas.example" },
      rules,
      undefined
    ],
    [
      "a page of an origin that may use the service",
      "POST",
      { host: "localhost:8001", origin: "https://app.example", ...json },
      rules,
      undefined
    ],
    [
      "a problem type of JSON",
      "POST",
      { ...own, ...json, "content-type": "application/merge-patch+json;charset=utf-8" },
      rules,
      undefined
    ],
    [
      "a link from another site",
      "GET",
      { host: "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
      open,
      undefined
    ],
    ["curl where no caller is authenticated", "POST", { host: "[::1]:8001", ...json }, open, undefined],
    ["a body of no bytes", "POST", { host: "localhost", "content-length": "0" }, open, undefined],
    ["a page of another origin", "POST", { ...own, ...json, origin: "https://attacker.example" }, rules, 403],
    [
      "a page of another port of this machine",
      "POST",
      { ...own, ...json, origin: "http://127.0.0.1:3000" },
      rules,
      403
    ],
    ["a page without an origin", "POST", { ...own, ...json, origin: "null" }, rules, 403],
    [
      "an image of another site",
      "GET",
      { host: "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
      rules,
      403
    ],
    [
      "a form that is posted as a link",
      "POST",
      { host: "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
      rules,
      403
    ],
    ["a sibling of the site", "GET", { host: "gravitas.example", "sec-fetch-site": "same-site" }, rules, 403],
    ["a name that was bound again", "GET", { host: "attacker.example:8001" }, open, 403],
    [
      "that, with an origin that fits",
      "POST",
      { host: "attacker.example", origin: "http://attacker.example", ...json },
      rules,
      403
    ],
    ["a name that begins as this machine's", "GET", { host: "127.0.0.1.attacker.example" }, open, 403],
    ["all addresses", "GET", { host: "0.0.0.0:8001" }, open, 403],
    ["no Host, by HTTP/1.0", "GET", {}, open, 403],
    ["a form", "POST", { ...own, "content-type": "text/plain", "content-length": "2" }, rules, 415],
    ["a chunked body of no type", "POST", { ...own, "transfer-encoding": "chunked" }, rules, 415],
    [
      "a form where no caller is authenticated",
      "POST",
      { host: "localhost", "content-type": "application/x-www-form-urlencoded", "content-length": "2" },
      open,
      415
    ],
    [
      "a type that ends in JSON",
      "POST",
      { ...own, "content-type": "text/application/json", "content-length": "2" },
      rules,
      415
    ]
  ] as const)("%s", (_, method, headers, given, status) => {
    expect(foreignRequest({ method, headers }, given)?.status).toBe(status)
  })
})
