import { expect, it } from "@effect/vitest"
import { durabilitiesText, isJournaled } from "../../src/domain/Durability.ts"

it.each([
  [{ default: "memory", byResult: {} }, "memory", false],
  [{ default: "journal", byResult: {} }, "journal", true],
  [{ default: "memory", byResult: { DENIED: "fsync" } }, "memory DENIED=fsync", true],
  [
    { default: "commit", byResult: { ALLOWED: "journal", INVALID: "memory" } },
    "commit ALLOWED=journal INVALID=memory",
    true
  ]
] as const)("%j reads %s", (durabilities, text, journaled) => {
  expect(durabilitiesText(durabilities)).toBe(text)
  expect(isJournaled(durabilities)).toBe(journaled)
})
