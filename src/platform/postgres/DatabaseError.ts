import * as Schema from "effect/Schema"

/**
 * An error of PostgreSQL or of the connection to it, with what the driver knows and nothing that could hold a secret.
 *
 * `sqlstate` is absent if the server did not answer: refused, reset, timed out. `phase` says where it happened; at
 * `commit` without a sqlstate the outcome is unknown. `position` is the 1-based character offset in the statement.
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  phase: Schema.Literal("connect", "statement", "commit"),
  reason: Schema.String,
  /** Present only if our own deadline passed. */
  late: Schema.optional(Schema.Literal(true)),
  /** Present only if our client refused the server; `reason` says what must change. */
  refused: Schema.optional(Schema.Literal(true)),
  sqlstate: Schema.optional(Schema.String),
  detail: Schema.optional(Schema.String),
  hint: Schema.optional(Schema.String),
  position: Schema.optional(Schema.Number),
  /** The functions and blocks that were running, innermost first, one a line, without SQL and values. */
  context: Schema.optional(Schema.String),
  schema: Schema.optional(Schema.String),
  table: Schema.optional(Schema.String),
  column: Schema.optional(Schema.String),
  constraint: Schema.optional(Schema.String)
}) {
  override get message(): string {
    const state = this.sqlstate === undefined ? "" : ` (SQLSTATE ${this.sqlstate})`
    const detail = this.detail === undefined ? "" : `; ${this.detail}`
    return `${this.reason}${detail}${state}`
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

const field = (value: object, key: string): unknown => (key in value ? Reflect.get(value, key) : undefined)

const present = <K extends string>(key: K, value: string | undefined): { readonly [_ in K]?: string } =>
  // One computed key of a known literal type: the cast states what the compiler widens to `{ [x: string]: string }`.
  (value === undefined ? {} : { [key]: value }) as { readonly [_ in K]?: string }

/** The innermost error: `SqlError` of @effect/sql keeps the driver's under `cause`. */
const innermost = (cause: unknown): unknown => {
  if (typeof cause !== "object" || cause === null) return cause
  const inner = field(cause, "cause")
  if (inner !== undefined && inner !== null) return innermost(inner)
  const errors = field(cause, "errors")
  return Array.isArray(errors) && errors.length > 0 ? innermost(errors[0]) : cause
}

/**
 * Classes whose DETAIL names objects, sessions or limits. That of the others may repeat a row, such as "Failing row contains (…)" of
 * class 23: it never reaches a log or an answer. PostgreSQL's own log has it.
 */
const detailed = /^(0A|25|28|2B|3D|3F|40|42|53|54|55|57|58)/

/** The message of a data exception quotes the value, which may hold quotes itself. */
const withoutValue = (message: string): string => message.replace(/".*"/s, '"…"')

/** Lines of CONTEXT that name a place in a function. The others quote statements and values; a translated line has no quotes. */
const place =
  /^(?:PL\/pgSQL function .+ (?:line \d+ )?(?:at|during|while) [A-Za-z' /-]+|SQL function "[^"]+" (?:statement \d+|during [a-z ]+)|compilation of PL\/pgSQL function "[^"]+" near line \d+|[^"':;]*PL\/pgSQL[^"':;]*\d+[^"':;]*)$/

/** Keeps the places of a CONTEXT. */
export const placesOf = (context: string | undefined): string | undefined =>
  text(
    context
      ?.split("\n")
      .filter((line) => place.test(line))
      .join("\n")
  )

/** An error of the server as the driver makes it, before it is thrown. */
export interface ServerError {
  message: string
  stack?: string | undefined
  readonly code?: string | undefined
  detail?: string | undefined
  /** The context, such as the line and the value that COPY was reading. */
  where?: string | undefined
}

/** Takes values of rows out of an error of the server, so that it holds none wherever it goes: also as a defect, in a log or a span. */
export const forgetValues = (error: ServerError): void => {
  const { code = "", message } = error
  if (!detailed.test(code)) {
    error.detail = undefined
    error.where = placesOf(error.where)
  }
  if (!code.startsWith("22")) return
  error.message = withoutValue(message)
  error.stack = error.stack?.replace(message, () => error.message)
}

/** Reads an error of `pg`, of Node's sockets or of @effect/sql. Never keeps the connection string, parameters or values of rows. */
export const databaseError = (phase: DatabaseError["phase"], thrown: unknown): DatabaseError => {
  const cause = innermost(thrown)
  if (cause instanceof DatabaseError) return cause
  if (typeof cause !== "object" || cause === null) return new DatabaseError({ phase, reason: String(cause) })
  const code = text(field(cause, "code"))
  // Node's own codes share the driver's `code` field, and EPIPE looks like a SQLSTATE; only the server gives a severity.
  const sqlstate = text(field(cause, "severity")) === undefined ? undefined : code
  const position = Number(field(cause, "position"))
  const message = text(field(cause, "message")) ?? code ?? "unknown error"
  return new DatabaseError({
    phase,
    reason: sqlstate?.startsWith("22") ? withoutValue(message) : message,
    ...present("sqlstate", sqlstate),
    ...present("detail", detailed.test(sqlstate ?? "") ? text(field(cause, "detail")) : undefined),
    ...present("hint", text(field(cause, "hint"))),
    ...(Number.isInteger(position) && position > 0 ? { position } : {}),
    ...present("context", placesOf(text(field(cause, "where")))),
    ...present("schema", text(field(cause, "schema"))),
    ...present("table", text(field(cause, "table"))),
    ...present("column", text(field(cause, "column"))),
    ...present("constraint", text(field(cause, "constraint")))
  })
}
