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
    ["/Validate/", "/validate"],
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
