import "pg"
import type { ServerError } from "./DatabaseError.ts"
import type { DriverResult } from "./Pipeline.ts"

/** The part of the driver's client that its types leave out. */
declare module "pg" {
  interface Client {
    /** What the options and the connection string say together. Milliseconds; false: without a limit. */
    readonly connectionParameters: { query_timeout: number | false }
    /** The exchange of SCRAM: undefined before it, null once the server has proved that it knows the password. */
    readonly saslSession: object | null | undefined
    _handleAuthCleartextPassword(): void
    _handleAuthMD5Password(message: { readonly salt: Buffer }): void
    _handleAuthSASLFinal(message: { readonly data: string }): void
    _handleErrorMessage(message: ServerError): void
    _handleReadyForQuery(message: { readonly status: string }): void
  }
  /** A query's callbacks for the messages of the server, and its last result. */
  // biome-ignore lint/suspicious/noExplicitAny: an interface that merges with the driver's class repeats its parameters.
  interface Query<R extends QueryResultRow = any, I extends any[] = any> {
    readonly _result: DriverResult
    handleCommandComplete(message: object, wire: Connection): void
    handleReadyForQuery(): void
    handleError(cause: unknown): void
  }
}
