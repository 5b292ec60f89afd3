import { expect, it } from "@effect/vitest"
import { isMisspelling } from "../../src/domain/Misspelling.ts"

it.each([
  "forceTier",
  "Force-Tier",
  "FORCE_TIER",
  "force tier",
  "force_teir",
  "forcetier",
  "force_tie",
  "force_tierr",
  "force_tiar"
])("%s is meant to be force_tier", (name) => {
  expect(isMisspelling(name, "force_tier")).toBe(true)
})

it.each(["force_tier", "force", "tier", "service_tier", "forced_tiers", "", "x", "f".repeat(5_000)])(
  "%s is a name of its own",
  (name) => {
    expect(isMisspelling(name, "force_tier")).toBe(false)
  }
)
