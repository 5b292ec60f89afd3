import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import type { Tier } from "../../../src/contracts/router/ChatSchemas.ts"
import type { Catalog, Shell } from "../../../src/router/models/Catalog.ts"
import { choose, type RoutingQuestion, tierFor } from "../../../src/router/route/Routing.ts"

const shell = (name: string, tier: Tier): Shell => ({ name, tier, provider: "p", upstreamModel: name })
const small = shell("gemma2:27b", "L1")
const tiny = shell("tiny", "L1")
const hosted = shell("llama-70b", "L2")
const great = shell("gemini-pro", "L3")

const catalog: Catalog = {
  providers: new Map(),
  shells: new Map([small, tiny, hosted, great].map((one) => [one.name, one])),
  ghosts: new Map([
    ["Librarian", { name: "Librarian", shells: [hosted, small, great], fallsBackOnRefusal: false }],
    ["Scout", { name: "Scout", shells: [tiny], fallsBackOnRefusal: false }]
  ])
}
const withoutL3: Catalog = { ...catalog, shells: new Map([[small.name, small]]) }

const asked = (question: Partial<RoutingQuestion>, of = catalog): ReadonlyArray<string> | string =>
  Either.match(choose(of, { model: "auto", complexity: 5, forceTier: undefined, ...question }), {
    onLeft: ({ _tag }) => _tag,
    onRight: (candidates) => candidates.map(({ name }) => name)
  })

describe("choose", () => {
  const cases: ReadonlyArray<readonly [string, Partial<RoutingQuestion>, ReadonlyArray<string> | string]> = [
    ["a shell's name is that shell", { model: "gemma2:27b" }, ["gemma2:27b"]],
    [
      "a shell's name is that shell, however hard the question",
      { model: "gemma2:27b", complexity: 10 },
      ["gemma2:27b"]
    ],
    ["a shell of the forced tier", { model: "gemini-pro", forceTier: "L3" }, ["gemini-pro"]],
    ["a shell of another tier than the forced one is refused", { model: "gemini-pro", forceTier: "L1" }, "OtherTier"],
    [
      "a ghost's preferred shell, then its fallbacks",
      { model: "Librarian" },
      ["llama-70b", "gemma2:27b", "gemini-pro"]
    ],
    ["a ghost's shells of the forced tier", { model: "Librarian", forceTier: "L3" }, ["gemini-pro"]],
    ["a ghost without a shell of the forced tier", { model: "Scout", forceTier: "L3" }, "EmptyTier"],
    ["auto: L1, in the order of the file", {}, ["gemma2:27b", "tiny"]],
    ["auto: complexity 8 is still L1", { complexity: 8 }, ["gemma2:27b", "tiny"]],
    ["auto: complexity 9 is L3", { complexity: 9 }, ["gemini-pro"]],
    ["auto: the forced tier wins over complexity", { complexity: 9, forceTier: "L2" }, ["llama-70b"]],
    ["an unknown name", { model: "gpt-9" }, "UnknownModel"],
    ["another case is another name", { model: "GEMMA2:27b" }, "UnknownModel"],
    ["a name of the language itself", { model: "__proto__" }, "UnknownModel"]
  ]
  for (const [what, question, expected] of cases) {
    it(what, () => expect(asked(question)).toEqual(expected))
  }

  it("auto: a tier without shells", () => expect(asked({ complexity: 10 }, withoutL3)).toBe("EmptyTier"))

  it("the tier is the forced one, else L3 above 8, else L1", () => {
    expect(tierFor({ complexity: 8.5, forceTier: undefined })).toBe("L3")
    expect(tierFor({ complexity: 0, forceTier: undefined })).toBe("L1")
    expect(tierFor({ complexity: 0, forceTier: "L2" })).toBe("L2")
  })
})
