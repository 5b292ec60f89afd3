import { BlockList, isIP, isIPv6 } from "node:net"
import type { RequestSource } from "./RequestContext.ts"

/** Makes the list of proxies whose headers name the client, from addresses and CIDR blocks. */
export const proxyList = (blocks: ReadonlyArray<string>): BlockList => {
  const list = new BlockList()
  for (const block of blocks) {
    const [address = "", prefix] = block.split("/")
    const family = isIPv6(address) ? "ipv6" : "ipv4"
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

/** The name of a sender whose address the system does not return. RFC 7239, section 6.2, has the same word. */
export const unknownAddress = "unknown"

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** An IPv4 address, also from an IPv6 socket, or an IPv6 address without its zone; undefined for anything else. */
const plainAddress = (text: string): string | undefined => {
  const address = mapped.exec(text)?.[1] ?? text.split("%", 1).join("").toLowerCase()
  return isIP(address) === 0 ? undefined : address
}

/** Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` and `[2001:db8::1]:80`, with or without quotes. */
const entryAddress = (entry: string): string | undefined => {
  const text = entry.trim().replace(/^"(.*)"$/, "$1")
  return plainAddress(/^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text)
}

type HeaderValue = string | ReadonlyArray<string> | undefined

/** Splits at each comma, also within quotes: a client's open quote cannot swallow what a proxy appended. */
const entriesOf = (value: HeaderValue): ReadonlyArray<string> | undefined =>
  typeof value === "string" ? value.split(",") : undefined

/** The value of `for` in one element of a `Forwarded` header. */
const forOf = (element: string): string => /(?:^|;)\s*for=([^;]*)/i.exec(element)?.[1] ?? ""

/**
 * Returns the address of a request's client. That is the sender of its connection, or what `Forwarded` or `X-Forwarded-For` say where
 * the sender is a trusted proxy: read from the right, the first address that is not a trusted proxy. An entry that is not an address
 * ends the reading. If both headers are there and differ, a client may have sent one of them, so the proxy's own address is taken.
 */
export const clientAddress = ({ headers, socket }: RequestSource, trusted: BlockList): string => {
  const isTrusted = (address: string) => trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4")
  const sender = plainAddress(socket?.remoteAddress ?? "")
  if (sender === undefined) return unknownAddress
  if (!isTrusted(sender)) return sender
  const read = (entries: ReadonlyArray<string>): string => {
    let last = sender
    for (let at = entries.length - 1; at >= 0 && isTrusted(last); at--) {
      const address = entryAddress(entries[at] ?? "")
      if (address === undefined) return last
      last = address
    }
    return last
  }
  const forwarded = entriesOf(headers["forwarded"])?.map(forOf)
  const forwardedFor = entriesOf(headers["x-forwarded-for"])
  const found = [forwarded, forwardedFor].flatMap((entries) => (entries === undefined ? [] : [read(entries)]))
  const [first = sender, second = first] = found
  return first === second ? first : sender
}

/** The value of a `Forwarded` header that names `address`. */
export const forwardedHeader = (address: string): string => (isIPv6(address) ? `for="[${address}]"` : `for=${address}`)

/** The network whose clients count as one: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has to itself. */
export const networkOf = (address: string): string => {
  if (!isIPv6(address)) return address
  // The URL parser writes an IPv6 address in one form, without an IPv4 address at its end.
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::")
  const [left, right] = [head, tail].map((part) => (part === "" ? [] : part.split(":")))
  const zeros = Array.from({ length: 8 - (left?.length ?? 0) - (right?.length ?? 0) }, () => "0")
  return `${[...(left ?? []), ...zeros, ...(right ?? [])].slice(0, 4).join(":")}::/64`
}
