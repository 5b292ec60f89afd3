import { expect, it } from "@effect/vitest"
import { unambiguous } from "../../../src/platform/cli/Flags.ts"

it.each([
  ["a flag gets its value, so that it takes no argument for one", "--json 1 --gaps", "--json=true 1 --gaps=true"],
  ["an option keeps the value after it", "--limit 5 --by -1 --all", "--limit 5 --by -1 --all=true"],
  ["a target that looks like an option goes to the end", "downgrade -1 --yes", "downgrade --yes=true -1"]
])("%s", (_, given, understood) => {
  expect(unambiguous(given.split(" ")).join(" ")).toBe(understood)
})
