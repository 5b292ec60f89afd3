import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { parsePostmasterFile } from "../../src/embedded-postgres/OrphanedServer.ts"

const whole = (socket: string, address: string) =>
  `4711\n/srv/data\n1700000000\n5433\n${socket}\n${address}\n  8192001         7\nready   \n`

describe("parsePostmasterFile", () => {
  it.each([
    ["", "127.0.0.1", { host: "127.0.0.1", tcp: true }],
    ["/srv/socket", "", { host: "/srv/socket", tcp: false }],
    ["/srv/socket", "127.0.0.1", { host: "/srv/socket", tcp: true }]
  ])("reads pid, data, status and where it listens: %j %j", (socket, listens, { host, tcp }) => {
    expect(parsePostmasterFile(whole(socket, listens))).toEqual(
      Option.some({ pid: 4711, data: "/srv/data", address: Option.some({ host, port: 5433 }), tcp, status: "ready" })
    )
  })

  it("reads what stands in the first moments of a start", () => {
    expect(parsePostmasterFile("4711\n/srv/data\n")).toEqual(
      Option.some({ pid: 4711, data: "/srv/data", address: Option.none(), tcp: false, status: "" })
    )
  })

  it.each(["", "\n", "garbage", "-4711\n/srv/data\n", "0\n"])("takes %j for no postmaster's", (text) => {
    expect(parsePostmasterFile(text)).toEqual(Option.none())
  })
})
