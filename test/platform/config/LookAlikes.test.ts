import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { likeName, lookAlikes, lookAlikesText } from "../../../src/platform/config/LookAlikes.ts"

describe("lookAlikes", () => {
  it.effect("groups names that a reader may take for each other, and no others", () =>
    Effect.gen(function* () {
      const groups = yield* lookAlikes([
        "Scout",
        "Librarian",
        "\u0405cout",
        "agent-1",
        "Scout",
        "agent-l",
        "Ｓcout",
        "scouts"
      ])
      expect(lookAlikesText(groups)).toBe('"Scout", "\\u{405}cout", "\\u{ff33}cout"; "agent-1", "agent-l"')
      expect(likeName(groups, "agent-1")).toEqual(["agent-l"])
      expect(likeName(groups, "Librarian")).toEqual([])
    })
  )
})
