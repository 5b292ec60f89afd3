import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { displayAddress } from "../../../src/platform/postgres/Database.ts"

const show = (url: string) => displayAddress(Redacted.make(url))

describe("displayAddress", () => {
  it("shows role, host, port and database", () => {
    expect(show("postgresql://app:secret@db.example:6432/gravitas")).toBe("postgresql://app@db.example:6432/gravitas")
    expect(show("postgres://db.example/gravitas")).toBe("postgresql://db.example/gravitas")
    expect(show("postgresql://app@[::1]:5432/gravitas")).toBe("postgresql://app@[::1]:5432/gravitas")
  })

  it("leaves parameters out, since a password may be among them", () => {
    expect(show("postgresql://h/d?password=secret&sslmode=require#secret")).toBe("postgresql://h/d")
  })

  it("shows nothing of what is not a URL", () => {
    expect(show("host=h password=secret")).toBe("postgresql://(unreadable)")
  })

  it.prop("never shows the password", [FastCheck.string({ minLength: 1, unit: "grapheme" })], ([text]) => {
    const password = `«${text}»`
    const address = show(`postgresql://app:${encodeURIComponent(password)}@h:5432/d`)
    expect(address).toBe("postgresql://app@h:5432/d")
  })
})
