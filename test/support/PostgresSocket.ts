import type * as Net from "node:net"
import * as Redacted from "effect/Redacted"

/** Where the server of a connection string listens: the path of its Unix socket, or its host and port. */
export const socketOf = (url: Redacted.Redacted): Net.NetConnectOpts => {
  const { hostname, port } = new URL(Redacted.value(url))
  const host = decodeURIComponent(hostname)
  return host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port || 5432}` } : { host, port: Number(port || 5432) }
}
