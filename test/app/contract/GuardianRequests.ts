import * as Schema from "effect/Schema"
import type { OldRequest } from "./OldRequest.ts"

const told = Schema.Struct({ detail: Schema.String })
const unauthenticated = {
  status: 401,
  fields: Schema.Struct({ detail: Schema.Literal("Missing Authorization header") })
}

const Moment = Schema.String.pipe(Schema.filter((text) => !Number.isNaN(Date.parse(text))))

const Certified = Schema.Struct({
  valid: Schema.Literal(true),
  agent: Schema.Literal("Librarian"),
  expires_at: Moment,
  issued_at: Moment
})

const Started = Schema.Struct({ allowed: Schema.Literal(true), reason: Schema.String })

const statistics = (active: number, completed: number) =>
  Schema.Struct({
    active_sessions: Schema.Literal(active),
    completed_total: Schema.Literal(completed),
    avg_duration: completed === 0 ? Schema.Null : Schema.Number,
    certification_expires: Moment
  })

const Certificates = Schema.Struct({
  certificates: Schema.NonEmptyArray(
    Schema.Struct({
      agent: Schema.String,
      issued_at: Moment,
      expires_at: Moment,
      version: Schema.Union(Schema.Number, Schema.String),
      is_expired: Schema.Boolean
    })
  ),
  total: Schema.Int.pipe(Schema.positive())
})

const supervisor = "Supervisor_Managed_Agent"
const started = { agent: "Librarian", session_id: "contract-1", metadata: { model: "gemma2:27b" } }
const ended = { session_id: "contract-1", output_file: "report.md" }

/** As the old clients sent it, and with a token. */
const changing = (request: OldRequest): ReadonlyArray<OldRequest> => [
  { ...request, name: `${request.name}, no token`, differs: { line: "token-to-change", ...unauthenticated } },
  { ...request, as: supervisor }
]

const reading = (request: OldRequest): ReadonlyArray<OldRequest> => [
  { ...request, name: `${request.name}, no token`, differs: { line: "token-to-read", ...unauthenticated } },
  { ...request, as: supervisor }
]

/** In this order: the sessions of one request are those of the next. The Librarian has a certificate, the Scout has none. */
export const guardianRequests: ReadonlyArray<OldRequest> = [
  {
    name: "health, with counts",
    service: "guardian",
    route: "GET /health",
    status: 200,
    fields: Schema.Struct({
      status: Schema.Literal("healthy"),
      service: Schema.Literal("guardian"),
      database: Schema.Literal("connected"),
      counts: Schema.Record({ key: Schema.String, value: Schema.Number })
    })
  },
  ...reading({
    name: "an agent that is certified",
    service: "guardian",
    route: "POST /validate",
    body: { agent: "Librarian" },
    status: 200,
    fields: Certified
  }),
  {
    name: "an agent that is not certified",
    service: "guardian",
    route: "POST /validate",
    body: { agent: "Scout" },
    as: supervisor,
    status: 403,
    fields: told
  },
  ...reading({
    name: "statistics of an agent without sessions",
    service: "guardian",
    route: "GET /stats?agent=Librarian",
    status: 200,
    fields: statistics(0, 0)
  }),
  ...changing({
    name: "a session's start",
    service: "guardian",
    route: "POST /session/start",
    body: started,
    status: 200,
    fields: Started
  }),
  {
    name: "the same session's start again",
    service: "guardian",
    route: "POST /session/start",
    body: started,
    as: supervisor,
    status: 200,
    fields: Started,
    differs: { line: "session-name-once", status: 409, fields: told }
  },
  {
    name: "a session of an agent that is not certified",
    service: "guardian",
    route: "POST /session/start",
    body: { ...started, agent: "Scout", session_id: "contract-2" },
    as: supervisor,
    status: 403,
    fields: told
  },
  {
    name: "statistics while a session runs",
    service: "guardian",
    route: "GET /stats?agent=Librarian",
    as: supervisor,
    status: 200,
    fields: statistics(1, 0)
  },
  ...changing({
    name: "a session's end",
    service: "guardian",
    route: "POST /session/end",
    body: ended,
    status: 200,
    fields: Schema.Struct({})
  }),
  {
    name: "the end of a session that never was",
    service: "guardian",
    route: "POST /session/end",
    body: { ...ended, session_id: "contract-never" },
    as: supervisor,
    status: 200,
    fields: Schema.Struct({}),
    differs: { line: "unknown-session", status: 404, fields: told }
  },
  {
    name: "statistics after a session",
    service: "guardian",
    route: "GET /stats?agent=Librarian",
    as: supervisor,
    status: 200,
    fields: statistics(0, 1)
  },
  ...reading({
    name: "certificates",
    service: "guardian",
    route: "GET /certificates",
    status: 200,
    fields: Certificates
  })
]
