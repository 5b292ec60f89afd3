import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { canEnter, choose, parsePasswd } from "../../src/embedded-postgres/DataLocation.ts"

/** The unprivileged account of most systems. */
const unprivileged = "nobody"

const line = (name: string, uid: number) => `${name}:x:${uid}:${uid}::/:/usr/sbin/nologin`

const chosen = (...lines: ReadonlyArray<string>) =>
  Option.getOrNull(Option.map(choose(parsePasswd(lines.join("\n"))), ({ name }) => name))

describe("choose", () => {
  it("prefers the account of Gravitas, then PostgreSQL's, then the system's unprivileged ones", () => {
    const [root, daemon, other] = [line("root", 0), line("daemon", 1), line(unprivileged, 65_534)]
    const [postgres, gravitas] = [line("postgres", 101), line("gravitas", 999)]
    expect(chosen(root, daemon, other, postgres, gravitas)).toBe("gravitas")
    expect(chosen(root, daemon, other, postgres)).toBe("postgres")
    expect(chosen(root, daemon, other)).toBe(unprivileged)
    expect(chosen(root, daemon)).toBe("daemon")
  })

  it("prefers any other account to none, but never one with root's id", () => {
    expect(chosen(line("root", 0), line("toor", 0), line("app", 1_000))).toBe("app")
    expect(chosen(line("root", 0), line("postgres", 0))).toBeNull()
  })

  it("ignores lines without an account", () => {
    expect(
      chosen("# a comment", "", `${unprivileged}:*:-2:-2:macOS:/var/empty:/usr/bin/false`, line("daemon", 1))
    ).toBe("daemon")
  })
})

describe("canEnter", () => {
  const account = { name: "postgres", uid: 101, gid: 104 }
  it.each([
    [{ uid: 0, gid: 0, mode: 0o40755 }, true],
    [{ uid: 0, gid: 0, mode: 0o40711 }, true],
    [{ uid: 0, gid: 0, mode: 0o40700 }, false],
    [{ uid: 0, gid: 104, mode: 0o40750 }, true],
    [{ uid: 0, gid: 104, mode: 0o40701 }, false],
    [{ uid: 101, gid: 0, mode: 0o40700 }, true],
    [{ uid: 101, gid: 0, mode: 0o40011 }, false]
  ])("%j: %s", (directory, may) => {
    expect(canEnter(directory, account)).toBe(may)
  })
})
