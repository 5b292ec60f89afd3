import { placesOf } from "./DatabaseError.ts"

/** A message that the server sends beside the answer of a statement: a warning, a notice, what `raise notice` says. */
export interface ServerNotice {
  /** `WARNING` or another severity, as the server names it in its language. */
  readonly severity: string
  readonly isWarning: boolean
  readonly message: string
  readonly sqlstate: string
  readonly detail?: string
  readonly hint?: string
  /** As in `DatabaseError`. */
  readonly context?: string
}

/** The other severities that reach a client, in English. */
const lesser = /^(NOTICE|INFO|LOG|DEBUG\d?)$/

/** The driver does not keep the severity in English. Translated: notices have class 00, or 42 (`… already exists, skipping`). */
const isWarning = (severity: string, sqlstate: string): boolean =>
  severity === "WARNING" || (!lesser.test(severity) && !/^(00|42)/.test(sqlstate))

/** Reads a notice of the driver. */
export const serverNotice = (notice: {
  readonly message?: string | undefined
  readonly severity?: string | undefined
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly where?: string | undefined
}): ServerNotice => {
  const { code: sqlstate = "", detail, hint, message = "", severity = "NOTICE" } = notice
  const context = placesOf(notice.where)
  return {
    severity,
    isWarning: isWarning(severity, sqlstate),
    message,
    sqlstate,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(context === undefined ? {} : { context })
  }
}
