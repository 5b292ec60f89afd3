import { expect, it } from "@effect/vitest"
import {
  believedRejections,
  countRejection,
  noRejections,
  suggestsSetUpProblem
} from "../../../src/audit/writer/RetryDecision.ts"

const after = (states: ReadonlyArray<string | null>) => states.reduce(countRejection, noRejections)
const times = (number: number, state: string | null) => Array.from({ length: number }, () => state)

it.each<[name: string, states: ReadonlyArray<string | null>, next: string | null, expected: boolean]>([
  ["the first refusal", [], "22021", false],
  ["a refusal after fewer for the same reason", times(believedRejections - 1, "22021"), "22021", false],
  ["a refusal after as many for the same reason", times(believedRejections, "22021"), "22021", true],
  ["a refusal for another reason", times(believedRejections, "22021"), "23514", false],
  ["a refusal after one for another reason", [...times(believedRejections, "22021"), "23514"], "22021", false],
  ["refusals without a reason", times(believedRejections, null), null, true]
])("%s tells of the set-up: %#", (_, states, next, expected) => {
  expect(suggestsSetUpProblem(after(states), next)).toBe(expected)
})
