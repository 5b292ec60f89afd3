import { TLSSocket } from "node:tls"
import * as Context from "effect/Context"
import Pg from "pg"
import { DatabaseError, forgetValues, type ServerError } from "./DatabaseError.ts"

/** The setting `DATABASE_AUTH`: `md5` says whether MD5 is accepted without verified TLS. */
export class DatabaseAuth extends Context.Reference<DatabaseAuth>()("platform/postgres/DatabaseAuth", {
  defaultValue: () => ({ md5: false })
}) {}

export interface AuthenticatedClientOptions extends Pg.ClientConfig {
  readonly md5: boolean
}

const refusals = {
  clearText:
    "the server asks for the password in clear text, which is never sent: let it ask for scram-sha-256 (password_encryption, pg_hba.conf)",
  md5:
    "the server asks for an MD5 hash of the password: let it ask for scram-sha-256, connect with sslmode=verify-full, or set " +
    "DATABASE_AUTH=scram,md5",
  unproven: "the server did not prove by SCRAM that it knows the password"
} as const

/** A message of the server: the value of a setting. */
interface ParameterStatus {
  readonly parameterName: string
  readonly parameterValue: string
}

/** The oldest major version whose SQL and settings the program knows. */
const oldestMajor = 14

/** `13.23 (Debian 13.23-1)` -> 13; undefined for what does not begin with a number. */
const majorOf = (version: string): number | undefined => {
  const major = Number.parseInt(version, 10)
  return Number.isNaN(major) ? undefined : major
}

/** As libpq's parameter of that name: the server must prove that it knows the password. */
const requiresScram = (connectionString = ""): boolean =>
  URL.canParse(connectionString) && new URL(connectionString).searchParams.get("require_auth") === "scram-sha-256"

/**
 * The only client of the driver that this program makes. The stock one sends its password, in clear text or as an MD5 hash, to any
 * server that asks for it, believes a server that asks for nothing, and repeats values of rows in its errors.
 *
 * The names with an underscore are the driver's handlers, which its types do not have (Pg.d.ts); a test speaks the protocol to them.
 */
export class AuthenticatedClient extends Pg.Client {
  private readonly acceptsMd5: boolean
  private readonly needsProof: boolean
  private isProven = false
  private isRefused = false
  private serverVersion = ""

  constructor(options: AuthenticatedClientOptions = { md5: false }) {
    super(options)
    this.acceptsMd5 = options.md5
    this.needsProof = requiresScram(options.connectionString)
    this.connection.on("parameterStatus", ({ parameterName, parameterValue }: ParameterStatus) => {
      if (parameterName === "server_version") this.serverVersion = parameterValue
    })
  }

  /** A retry does not help: SQLSTATE 28000, invalid authorization, or 0A000, feature not supported. */
  private refuse(reason: string, sqlstate: "28000" | "0A000" = "28000"): void {
    this.isRefused = true
    this.connection.emit("error", new DatabaseError({ phase: "connect", refused: true, reason, sqlstate }))
    this.connection.stream.destroy()
  }

  override _handleAuthCleartextPassword(): void {
    this.refuse(refusals.clearText)
  }

  override _handleAuthMD5Password(message: { readonly salt: Buffer }): void {
    const { stream } = this.connection
    const isVerified = stream instanceof TLSSocket && stream.authorized
    if (this.needsProof) this.refuse(refusals.unproven)
    else if (this.acceptsMd5 || isVerified) super._handleAuthMD5Password(message)
    else this.refuse(refusals.md5)
  }

  override _handleAuthSASLFinal(message: { readonly data: string }): void {
    super._handleAuthSASLFinal(message)
    // The driver forgets the exchange once the server's signature is right.
    this.isProven = this.saslSession === null
  }

  /** Each error of the server passes here before the query, the pool or a listener has it. */
  override _handleErrorMessage(message: ServerError): void {
    forgetValues(message)
    super._handleErrorMessage(message)
  }

  override _handleReadyForQuery(message: { readonly status: string }): void {
    if (this.isRefused) return
    // Also where the server left an exchange of SCRAM in the middle.
    const isProven = this.isProven || (!this.needsProof && this.saslSession === undefined)
    const version = this.serverVersion
    if (!isProven) this.refuse(refusals.unproven)
    else if ((majorOf(version) ?? oldestMajor) >= oldestMajor) super._handleReadyForQuery(message)
    else this.refuse(`Gravitas needs PostgreSQL ${oldestMajor} or later, and the server there is ${version}`, "0A000")
  }
}
