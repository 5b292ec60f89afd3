import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import { weaknessOf } from "../../../src/gatekeeper/tokens/WeakSecret.ts"

describe("A secret", () => {
  it.each([
    "a".repeat(32),
    "abababababababababababababababababab",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "zyxwvutsrqponmlkjihgfedcba9876543210",
    "aabbccddeeffgghhiijjkkllmmnnooppqqrr",
    "MySuperSecretKeyForProductionUse2024",
    "your-256-bit-secret-goes-in-here-now",
    "ChangeMe-ChangeMe-ChangeMe-ChangeMe1",
    "$(openssl rand -base64 48)",
    `\${JWT_SECRET_KEY:?set this in your .env}`,
    "1".repeat(16) + "2".repeat(16)
  ])("that can be guessed is known: %s", (secret) => {
    expect(weaknessOf(secret)).toBeDefined()
  })

  it("of random bytes is not called weak, in any usual spelling", () => {
    for (let count = 0; count < 500; count++) {
      for (const spelling of ["base64", "base64url", "hex"] as const) {
        const secret = randomBytes(32).toString(spelling)
        expect([secret, weaknessOf(secret)]).toEqual([secret, undefined])
      }
    }
  })
})
