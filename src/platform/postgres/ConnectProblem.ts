import type { DatabaseError } from "./DatabaseError.ts"

/** Node's words for a failed connection: the call, the code, and what it was for. */
const systemCall = /^(?:connect|getaddrinfo|read|write) (E[A-Z_]+)(?: (.+))?$/

const meanings: Readonly<Record<string, (of: string) => string>> = {
  ECONNREFUSED: (address) => `nothing listens on ${address}`,
  ENOTFOUND: (host) => `no host has the name ${host}`,
  EAI_AGAIN: (host) => `the name server does not answer for ${host}`,
  ETIMEDOUT: (address) => `${address} does not answer`,
  EHOSTUNREACH: (address) => `there is no way to ${address}`,
  ENETUNREACH: (address) => `there is no way to ${address}`,
  ECONNRESET: () => "the server closed the connection",
  EPIPE: () => "the server closed the connection",
  ENOENT: (socket) => `there is no socket ${socket}`,
  EACCES: (socket) => `the socket ${socket} does not let this user in`
}

/** Why a connection failed, with Node's code in brackets where it is the cause. */
export const connectReason = ({ message, sqlstate }: DatabaseError): string => {
  const [, code = "", of = "it"] = (sqlstate === undefined ? systemCall.exec(message) : null) ?? []
  const meaning = meanings[code]?.(of)
  return meaning === undefined ? message : `${meaning} (${code})`
}

/** How a password that a URL would misread is written. */
export const percentEncoding =
  "special characters of the password must be percent-encoded: @ is %40, # is %23, / is %2F, % is %25"

const remedies: ReadonlyArray<readonly [pattern: RegExp, remedy: string]> = [
  [/^28P01$/, `Correct the password in the connection string; ${percentEncoding}`],
  [/^28/, "Correct the role in the connection string, or let it in (create role, pg_hba.conf)"],
  [/^3D000$/, "Correct the name of the database in the connection string, or create it: createdb <name>"],
  [/^53300$/, "Close other sessions, or raise max_connections of the server"]
]

/** What to do about it; undefined where our client refused the server, since its reason says that. */
export const connectRemedy = ({ message, refused, sqlstate = "" }: DatabaseError): string | undefined =>
  refused === true
    ? undefined
    : (remedies.find(([pattern]) => pattern.test(sqlstate))?.[1] ??
      (/ENOTFOUND|EAI_AGAIN/.test(message)
        ? `Correct the host in the connection string; ${percentEncoding}`
        : "Start PostgreSQL there, correct the connection string, or raise DATABASE_CONNECT_DEADLINE") +
        ". Without DATABASE_URL an embedded PostgreSQL is used")
