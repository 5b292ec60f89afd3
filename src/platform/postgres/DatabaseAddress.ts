import * as Redacted from "effect/Redacted"

/** What may be shown of a connection string: scheme, role, host, port and database; never password or parameters. */
export const displayAddress = (url: Redacted.Redacted): string => {
  const given = Redacted.value(url)
  if (!URL.canParse(given)) return "postgresql://(unreadable)"
  const { username, hostname, port, pathname } = new URL(given)
  const role = username === "" ? "" : `${username}@`
  // A password with an unescaped "/" ends up in the path, before an "@".
  const database = pathname.includes("@") ? "/(unreadable)" : pathname
  return `postgresql://${role}${hostname}${port === "" ? "" : `:${port}`}${database}`
}
