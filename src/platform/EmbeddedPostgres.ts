import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"

/** A real PostgreSQL under `GRAVITAS_HOME`, for a machine that has none. */
export class EmbeddedPostgres extends Context.Tag("platform/EmbeddedPostgres")<
  EmbeddedPostgres,
  {
    /** Database and role `gravitas`, with its password. */
    readonly url: Redacted.Redacted
  }
>() {}
