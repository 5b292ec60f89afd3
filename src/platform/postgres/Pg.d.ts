import "pg"
import type { ServerError } from "./DatabaseError.ts"

/** The part of the driver's client that its types leave out. */
declare module "pg" {
  interface Client {
    /** The exchange of SCRAM: undefined before it, null once the server has proved that it knows the password. */
    readonly saslSession: object | null | undefined
    _handleAuthCleartextPassword(): void
    _handleAuthMD5Password(message: { readonly salt: Buffer }): void
    _handleAuthSASLFinal(message: { readonly data: string }): void
    _handleErrorMessage(message: ServerError): void
    _handleReadyForQuery(message: { readonly status: string }): void
  }
}
