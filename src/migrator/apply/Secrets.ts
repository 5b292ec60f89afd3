import * as Effect from "effect/Effect"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { bodyOf, plpgsqlOf } from "../files/Bodies.ts"
import { loadParser } from "../files/Parser.ts"
import { quotedParts } from "../files/QuotedText.ts"
import { child, readTree } from "../files/Statements.ts"
import { onOneLine, placeholders, type SourceLocation } from "./RevisionFailed.ts"

/** Kinds of statements whose literals may be passwords or connection strings. */
const secretive = new Set(
  `AlterDatabaseSetStmt AlterForeignServerStmt AlterRoleSetStmt AlterRoleStmt AlterSubscriptionStmt AlterSystemStmt
  AlterUserMappingStmt CreateForeignServerStmt CreateRoleStmt CreateSubscriptionStmt CreateUserMappingStmt`.split(/\s+/)
)

/** The same for a text that cannot be parsed, and for one that is put together while it runs. */
const secretWords =
  /\bpassword\b|\b(?:create|alter)\s+(?:role|user|group|subscription|server|system)\b|\buser\s+mapping\b|\bdblink|\boptions\s*\(|:\/\/\S*:\S*@/i

/** A literal that is a secret in any statement: a connection string with a password. */
const connectionString = /\bpassword\s*=|:\/\/[^\s/'"]*:[^\s/'"]*@/i

const hidden = "***"

/** A text as it may be shown, and the parts that were replaced. */
interface Masked {
  readonly shown: string
  readonly taken: ReadonlyArray<string>
}

const nothing = (text: string): Masked => ({ shown: text, taken: [] })

/** True for a literal or a comment. The scanner does not name every form (`U&'…'`), but only literals hold an apostrophe. */
const isQuoted = (name: string, text: string): boolean =>
  /^(SCONST|SQL_COMMENT|C_COMMENT)$/.test(name) || text.includes("'")

/** Masks literals and comments, or those that `matches` names. Text that cannot be scanned is cut at its first quote. */
const masked = (text: string, matches = (_: string) => true): Effect.Effect<Masked> =>
  Effect.promise(async () => {
    const { scan } = await loadParser()
    const result = await scan(text).catch(() => undefined)
    if (result === undefined) {
      const cut = text.search(/['$]/)
      return cut === -1 ? nothing(text) : { shown: `${text.slice(0, cut)}${hidden}`, taken: [text.slice(cut)] }
    }
    // The scanner's offsets are bytes of UTF-8.
    const bytes = Buffer.from(text)
    const found = result.tokens.filter(({ text: token, tokenName }) => isQuoted(tokenName, token) && matches(token))
    const ends = [0, ...found.map(({ end }) => end)]
    const kept = ends.map((from, index) => bytes.subarray(from, found[index]?.start ?? bytes.length).toString())
    return {
      shown: kept.join(hidden),
      taken: found.map(({ end, start }) => bytes.subarray(start, end).toString())
    }
  })

/** Whether literals of a statement that can be parsed may be secrets because of its kind. */
const isSecretive = (statement: string): Effect.Effect<boolean> =>
  Effect.map(
    readTree(statement),
    ({ kind, node }) =>
      secretive.has(kind) ||
      (kind === "CopyStmt" && child(node, "is_program") === true) ||
      (kind === "unreadable" && secretWords.test(statement))
  )

/** What a body hides: `secrets` it names, or texts that it runs and that are known only then (`texts`). */
const secretsIn = Effect.fnUntraced(function* (statement: string, body: string) {
  const sql = yield* plpgsqlOf(statement)
  const words = secretWords.test(body) ? "secrets" : "nothing"
  // Other languages, and text that the parser refuses.
  if (sql === null || (sql.statements.length === 0 && sql.dynamic.length === 0)) return words
  const found = yield* Effect.exists(
    sql.statements.filter((one) => !/^select\b/i.test(one)),
    isSecretive
  )
  if (found) return "secrets"
  if (sql.dynamic.length === 0) return "nothing"
  if (words === "secrets") return "secrets"
  const isKnown = sql.dynamic.every((text) => quotedParts(text).some(({ kind }) => kind === "literal"))
  return isKnown ? "nothing" : "texts"
})

/** Masks what may be a secret in a statement, by what the statement is. */
const maskedStatement = Effect.fnUntraced(function* (statement: string) {
  const body = bodyOf(statement)
  if (body !== undefined) {
    const secrets = yield* secretsIn(statement, body.text)
    if (secrets === "nothing") return { ...nothing(statement), unknownTexts: false }
    // A body in apostrophes has its own ones twice.
    const isDoubled = statement[body.start - 1] === "'"
    const inner = yield* masked(isDoubled ? body.text.replaceAll("''", "'") : body.text)
    const shown = statement.slice(0, body.start) + inner.shown + statement.slice(body.end)
    return { shown, taken: inner.taken, unknownTexts: secrets === "texts" }
  }
  const isSecret = yield* isSecretive(statement)
  const result = isSecret ? masked(statement) : masked(statement, (literal) => connectionString.test(literal))
  const needed = isSecret || connectionString.test(statement)
  return { ...(needed ? yield* result : nothing(statement)), unknownTexts: false }
})

/** True if a message repeats a word of the masked parts. */
const repeats = (message: string, taken: ReadonlyArray<string>): boolean =>
  taken
    .flatMap((literal) => literal.split(/[\s='"$\\:/@,;?&]+/))
    .some((word) => word.length >= 3 && message.includes(word))

interface LocatedFailure {
  readonly location: SourceLocation
  readonly cause: DatabaseError
}

/** The SQLSTATE of a syntax error, whose message quotes the text. */
const syntaxError = "42601"

/**
 * Prepares a location and its error for messages and logs: the statement on one line, with literals masked where they may be
 * secrets, and without the server's words about them. The parser decides which kind a statement is, also within a body.
 */
export const withoutSecrets = Effect.fnUntraced(function* ({ cause, location }: LocatedFailure) {
  if (placeholders.has(location.statement)) return { cause, location }
  const { shown, taken, unknownTexts } = yield* maskedStatement(location.statement)
  const { context, phase, sqlstate } = cause
  const isQuoting = repeats(cause.reason, taken) || (unknownTexts && sqlstate === syntaxError)
  if (taken.length === 0 && !isQuoting) {
    return { cause, location: { ...location, statement: onOneLine(location.statement) } }
  }
  const reason = isQuoting ? "refused; the message is left out because it repeats what may be a secret" : cause.reason
  const statement = onOneLine(shown)
  const { file, line } = location
  return {
    location: { file, line, source: statement, statement },
    cause: new DatabaseError({ phase, reason, sqlstate, ...(context === undefined ? {} : { context }) })
  }
})
