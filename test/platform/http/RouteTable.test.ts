import { describe, expect, it } from "@effect/vitest"
import { routeTable } from "../../../src/platform/http/RouteTable.ts"

const table = routeTable(
  new Map([
    ["/validate", ["POST"]],
    ["/badges/:ghost/:badge", ["GET", "PUT", "DELETE"]],
    ["/badges/:ghost", ["GET"]],
    ["/files/*", ["GET"]]
  ])
)

describe("routeTable", () => {
  const cases: ReadonlyArray<readonly [url: string, path: string | undefined]> = [
    ["/validate", "/validate"],
    ["/validate?x=1", "/validate"],
    ["/validate?", "/validate"],
    ["/Validate", undefined],
    ["/validate/", undefined],
    ["//validate", undefined],
    ["/./validate", undefined],
    ["/x/../validate", undefined],
    ["/%76alidate", undefined],
    ["/validate;a=b", undefined],
    ["/validate#x", undefined],
    ["/validate?a#x", undefined],
    ["http://x/validate", undefined],
    ["/badges//brave", undefined],
    ["/badges/Scout/", undefined],
    ["/badges/%53cout", undefined],
    ["/badges/a%2eb", undefined],
    ["/badges/a%2fb", undefined],
    ["/badges/a;b", undefined],
    ["/badges/a%3Bb", "/badges/:ghost"],
    ["/badges/a%2Fb", "/badges/:ghost"],
    ["/badges/%C3%BC", "/badges/:ghost"],
    ["/badges/a&b=c", "/badges/:ghost"],
    // It cannot be decoded: its answer is 400.
    ["/badges/%ff", "/badges/:ghost"],
    ["/badges/Scout/brave", "/badges/:ghost/:badge"],
    ["/badges/Scout/brave?at=1", "/badges/:ghost/:badge"],
    ["/badges/Scout", "/badges/:ghost"],
    ["/badges", undefined],
    ["/badges/a/b/c", undefined],
    ["/files/a/b", "/files/*"],
    ["/", undefined],
    ["*", undefined],
    ["", undefined]
  ]
  for (const [url, path] of cases) {
    it(`${url || "nothing"} is ${path ?? "no route"}`, () => {
      expect(table(url)?.path).toBe(path)
    })
  }
})
