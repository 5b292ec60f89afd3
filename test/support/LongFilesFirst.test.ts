import { describe, expect, it } from "@effect/vitest"
import { longFilesFirst } from "./LongFilesFirst.ts"

const order = (...files: ReadonlyArray<string>) => longFilesFirst(files, (file) => `/checkout/test/${file}`)

describe("the order of the test files", () => {
  it("begins with the commands of the documents, then the files that start programs", () => {
    expect(
      order(
        "domain/Text.test.ts",
        "build/Release.test.ts",
        "migrator/chaos/Walk.test.ts",
        "app/Start.test.ts",
        "docs/Commands.test.ts"
      )
    ).toEqual([
      "docs/Commands.test.ts",
      "app/Start.test.ts",
      "migrator/chaos/Walk.test.ts",
      "build/Release.test.ts",
      "domain/Text.test.ts"
    ])
  })

  it("leaves the order within a kind as it is", () => {
    expect(order("router/B.test.ts", "app/B.test.ts", "audit/A.test.ts", "app/A.test.ts")).toEqual([
      "app/B.test.ts",
      "app/A.test.ts",
      "router/B.test.ts",
      "audit/A.test.ts"
    ])
  })
})
