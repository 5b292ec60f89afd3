import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { parsePostmasterFile } from "../../src/embedded-postgres/OrphanedServer.ts"

const whole = "4711\n/srv/data\n1700000000\n5433\n\n127.0.0.1\n  8192001         7\nready   \n"

describe("parsePostmasterFile", () => {
  it("reads pid, data, port and status", () => {
    expect(parsePostmasterFile(whole)).toEqual(
      Option.some({ pid: 4711, data: "/srv/data", port: Option.some(5433), status: "ready" })
    )
  })

  it("reads what stands in the first moments of a start", () => {
    expect(parsePostmasterFile("4711\n/srv/data\n")).toEqual(
      Option.some({ pid: 4711, data: "/srv/data", port: Option.none(), status: "" })
    )
  })

  it.each(["", "\n", "garbage", "-4711\n/srv/data\n", "0\n"])("takes %j for no postmaster's", (text) => {
    expect(parsePostmasterFile(text)).toEqual(Option.none())
  })
})
