import { execFileSync } from "node:child_process"
import { describe, expect, it } from "@effect/vitest"
import { allowedQuestion, renderBanner, tokenSubstitution } from "../../src/app/Banner.ts"
import { decide, type Policy } from "../../src/gatekeeper/policy/Policy.ts"
import { type PermissionText, policyOf } from "../support/Policies.ts"

const policy = (permissions: ReadonlyArray<PermissionText>): Policy =>
  policyOf({ g: permissions }, { Stranger: [], "Some one": ["g"] })

describe("allowedQuestion", () => {
  it.each([[["*", "*"]], [["execute", "shells/l1/*"]], [["read", "vaults/public"]]] as const)(
    "finds what a policy of %o allows",
    (permission) => {
      const some = policy([permission])
      const question = allowedQuestion(some)
      expect(question && decide(some, { ...question, ghostId: question.ghost }).allowed).toBe(true)
    }
  )

  it("passes over what another rule denies", () => {
    const some = policy([
      ["read", "vaults/public", "deny"],
      ["read", "vaults/*"],
      ["read", "vaults/public"],
      ["read", "vaults/example", "deny"],
      ["write", "vaults/*"]
    ])
    expect(allowedQuestion(some)).toMatchObject({ action: "write", resource: "vaults/example" })
  })

  it("finds nothing if the policy allows nothing", () => {
    expect(allowedQuestion(policy([]))).toBeUndefined()
    expect(
      allowedQuestion(
        policy([
          ["read", "a"],
          ["*", "*", "deny"]
        ])
      )
    ).toBeUndefined()
  })
})

describe("tokenSubstitution", () => {
  it("is one shell word whatever characters the paths and the ghost have", () => {
    const text = tokenSubstitution(
      ["/tmp", "printf", "%s|"],
      { GRAVITAS_HOME: "/a b", JWT_ISSUER: "it's" },
      `it's "$HOME" \`x\``
    )
    expect(execFileSync("sh", ["-c", `printf %s "Bearer ${text}"`], { encoding: "utf8" })).toBe(
      `Bearer token|it's "$HOME" \`x\`|`
    )
  })
})

describe("renderBanner", () => {
  const facts = {
    addresses: new Map([
      ["gatekeeper", { url: "http://127.0.0.1:8001", revision: "0001_audit" }],
      ["router", { url: "http://127.0.0.1:8004", revision: "0002_history" }]
    ] as const),
    databases: new Map([
      ["gatekeeper", "postgresql://a@h/d"],
      ["router", "postgresql://b@h/d"]
    ] as const),
    notes: ["Embedded PostgreSQL 18"],
    example: { ghost: "Scout", action: "read", resource: "vaults/public", token: "TOKEN" }
  }

  it("says what runs where, on which database, at which revision, and shows a request", () => {
    const banner = renderBanner(facts)
    expect(banner).toMatch(
      /Gatekeeper +http:\/\/127\.0\.0\.1:8001 +schema gatekeeper at 0001_audit in postgresql:\/\/a@h\/d/
    )
    expect(banner).toMatch(/Router +http:\/\/127\.0\.0\.1:8004 +schema router at 0002_history in postgresql:\/\/b@h\/d/)
    expect(banner).toContain("Embedded PostgreSQL 18")
    expect(banner).toContain(`curl -s http://127.0.0.1:8001/validate -H "Authorization: Bearer TOKEN"`)
  })

  it("shows no request where no gatekeeper runs", () => {
    const { example: _, ...rest } = facts
    expect(renderBanner({ ...rest, example: undefined })).not.toContain("curl")
  })
})
