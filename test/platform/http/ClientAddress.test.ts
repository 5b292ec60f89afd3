import { describe, expect, it } from "vitest"
import { clientAddress, forwardedHeader, networkOf, proxyList } from "../../../src/platform/http/ClientAddress.ts"

const proxies = proxyList(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])
const flood = Array.from({ length: 3_000 }, () => "10.0.0.1").join(", ")

const cases: ReadonlyArray<
  readonly [what: string, sender: string | undefined, headers: Readonly<Record<string, string>>, address: string]
> = [
  ["a client without a proxy", "198.51.100.4", {}, "198.51.100.4"],
  ["an IPv4 client on an IPv6 socket", "::ffff:198.51.100.4", {}, "198.51.100.4"],
  ["a client with a zone in its address", "fe80::1%eth0", {}, "fe80::1"],
  ["a connection that is gone", undefined, { "x-forwarded-for": "198.51.100.4" }, "unknown"],
  ["a client that names another address itself", "198.51.100.4", { "x-forwarded-for": "203.0.113.9" }, "198.51.100.4"],
  ["a client that sends Forwarded itself", "198.51.100.4", { forwarded: "for=203.0.113.9" }, "198.51.100.4"],
  ["a proxy that names no client", "10.1.2.3", {}, "10.1.2.3"],
  ["a client behind a proxy", "10.1.2.3", { "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
  ["a proxy on an IPv6 socket", "::ffff:10.1.2.3", { "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
  ["a client behind two proxies", "fd00::5", { "x-forwarded-for": "203.0.113.9, 192.0.2.7" }, "203.0.113.9"],
  [
    "what the client wrote before the proxy did",
    "10.1.2.3",
    { "x-forwarded-for": "1.1.1.1, 203.0.113.9" },
    "203.0.113.9"
  ],
  ["a client's own proxies", "10.1.2.3", { "x-forwarded-for": "1.1.1.1, 10.9.9.9, 203.0.113.9" }, "203.0.113.9"],
  ["only proxies", "10.1.2.3", { "x-forwarded-for": "10.9.9.9, 192.0.2.7" }, "10.9.9.9"],
  ["thousands of proxies", "10.1.2.3", { "x-forwarded-for": `203.0.113.9, ${flood}` }, "203.0.113.9"],
  ["an entry that is not an address", "10.1.2.3", { "x-forwarded-for": "203.0.113.9, evil, 192.0.2.7" }, "192.0.2.7"],
  ["an empty header", "10.1.2.3", { "x-forwarded-for": "" }, "10.1.2.3"],
  ["a port", "10.1.2.3", { "x-forwarded-for": "203.0.113.9:4711" }, "203.0.113.9"],
  ["an IPv6 client", "10.1.2.3", { "x-forwarded-for": "2001:DB8::9" }, "2001:db8::9"],
  ["an IPv6 client with a port", "10.1.2.3", { "x-forwarded-for": "[2001:db8::9]:4711" }, "2001:db8::9"],
  ["Forwarded", "10.1.2.3", { forwarded: 'proto=https;For="[2001:db8::9]:80";by=10.1.2.3' }, "2001:db8::9"],
  ["Forwarded from the right", "10.1.2.3", { forwarded: "for=1.1.1.1, for=203.0.113.9;host=x" }, "203.0.113.9"],
  ["a quote that the client left open", "10.1.2.3", { forwarded: 'for="1.1.1.1, for=203.0.113.9' }, "203.0.113.9"],
  ["a hidden client", "10.1.2.3", { forwarded: "for=1.1.1.1, for=_hidden" }, "10.1.2.3"],
  ["both headers, which agree", "10.1.2.3", { forwarded: "for=1.1.1.1", "x-forwarded-for": "1.1.1.1" }, "1.1.1.1"],
  [
    "both headers, one of them the client's",
    "10.1.2.3",
    { forwarded: "for=1.1.1.1", "x-forwarded-for": "2.2.2.2" },
    "10.1.2.3"
  ]
]

describe("The address of a client", () => {
  it.each(cases)("is read: %s", (_, remoteAddress, headers, address) => {
    expect(clientAddress({ headers, socket: { remoteAddress } }, proxies)).toBe(address)
  })

  it("is the sender's own where no proxy is trusted, whatever its headers say", () => {
    const headers = { "x-forwarded-for": "203.0.113.9", forwarded: "for=203.0.113.9" }
    expect(clientAddress({ headers, socket: { remoteAddress: "127.0.0.1" } }, proxyList([]))).toBe("127.0.0.1")
  })

  it.each(["203.0.113.9", "2001:db8::9"])("%s is passed on as it is read", (address) => {
    const headers = { forwarded: forwardedHeader(address) }
    expect(clientAddress({ headers, socket: { remoteAddress: "10.1.2.3" } }, proxies)).toBe(address)
  })
})

describe("The network of an address", () => {
  it.each([
    ["203.0.113.9", "203.0.113.9"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["unknown", "unknown"]
  ])("of %s is %s", (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})
