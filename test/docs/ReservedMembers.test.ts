import { readFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import { reservedMembers } from "../../src/domain/AuditEvent.ts"

it("docs/audit-trail.md names every member that only the program writes", () => {
  const page = readFileSync("docs/audit-trail.md", "utf8")
  const list = page.slice(
    page.indexOf("- who asked or brought it"),
    page.indexOf("All other names are the caller's word")
  )
  const named = [...list.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name)
  expect(named.toSorted()).toEqual([...reservedMembers].toSorted())
})
