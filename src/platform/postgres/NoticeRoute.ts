import type Pg from "pg"
import { type ServerNotice, serverNotice } from "./ServerNotice.ts"

/** Receives the notices of one query. */
export type Noticed = (notice: ServerNotice) => void

/**
 * Brings each notice of a session to the query that raised it. Queries are answered in the order in which they are submitted, each
 * with one message that the server is ready, also after an error: so the number of answers names the query that runs.
 */
export const routeNotices = (client: Pg.Client) => {
  const receivers = new Map<number, Noticed>()
  let submitted = 0
  let answered = 0
  client.connection.on("readyForQuery", () => {
    receivers.delete(answered)
    answered += 1
  })
  client.on("notice", (notice) => receivers.get(answered)?.(serverNotice(notice)))
  return {
    /** Counts a query, to be called as it is submitted. */
    submit: (noticed: Noticed | undefined): void => {
      if (noticed !== undefined) receivers.set(submitted, noticed)
      submitted += 1
    }
  }
}
