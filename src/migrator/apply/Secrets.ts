import * as Effect from "effect/Effect"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { readTree } from "../files/ParseTree.ts"
import { onOneLine, placeholders, type SourceLocation } from "./RevisionFailed.ts"

/**
 * Kinds of statements whose string literals may be passwords or connection strings. The body of a `do` block is one literal
 * that may contain such a statement. A statement that cannot be parsed may be of any kind.
 */
const secretive = new Set(
  `AlterForeignServerStmt AlterRoleSetStmt AlterRoleStmt AlterSubscriptionStmt AlterUserMappingStmt
  CreateForeignServerStmt CreateRoleStmt CreateSubscriptionStmt CreateUserMappingStmt DoStmt unreadable`.split(/\s+/)
)

const hidden = "***"

/** True for a literal or a comment. The scanner does not name every form (`U&'…'`), but only literals hold an apostrophe. */
const isHidden = (name: string, text: string): boolean =>
  /^(SCONST|SQL_COMMENT|C_COMMENT)$/.test(name) || text.includes("'")

/** Masks literals and comments, and returns the masked parts too. Text that cannot be scanned is cut at its first quote. */
const masked = (text: string) =>
  Effect.promise(async () => {
    const { scan } = await import("libpg-query")
    const result = await scan(text).catch(() => undefined)
    if (result === undefined) {
      const cut = text.search(/['$]/)
      return cut === -1
        ? { shown: text, taken: [] }
        : { shown: `${text.slice(0, cut)}${hidden}`, taken: [text.slice(cut)] }
    }
    // The scanner's offsets are bytes of UTF-8.
    const bytes = Buffer.from(text)
    const found = result.tokens.filter(({ text: token, tokenName }) => isHidden(tokenName, token))
    const ends = [0, ...found.map(({ end }) => end)]
    const kept = ends.map((from, index) => bytes.subarray(from, found[index]?.start ?? bytes.length).toString())
    return {
      shown: kept.join(hidden),
      taken: found.map(({ end, start }) => bytes.subarray(start, end).toString())
    }
  })

/** True if a message repeats a word of the masked parts. */
const repeats = (message: string, taken: ReadonlyArray<string>): boolean =>
  taken.flatMap((literal) => literal.split(/[\s='"$\\]+/)).some((word) => word.length >= 3 && message.includes(word))

interface LocatedFailure {
  readonly location: SourceLocation
  readonly cause: DatabaseError
}

/**
 * Prepares a location and its error for messages and logs: the statement on one line, with literals masked where they may be
 * secrets, and without the server's words about them. The parser decides which kind a statement is.
 */
export const withoutSecrets = ({ cause, location }: LocatedFailure): Effect.Effect<LocatedFailure> =>
  Effect.gen(function* () {
    if (placeholders.has(location.statement)) return { cause, location }
    const { kind } = yield* readTree(location.statement)
    const { shown, taken } = secretive.has(kind) ? yield* masked(location.statement) : { shown: "", taken: [] }
    if (taken.length === 0) return { cause, location: { ...location, statement: onOneLine(location.statement) } }
    const { phase, reason, sqlstate } = cause
    const statement = onOneLine(shown)
    const { file, line } = location
    return {
      location: { file, line, source: statement, statement },
      cause: new DatabaseError({
        phase,
        reason: repeats(reason, taken)
          ? "refused; the message is left out because it repeats what may be a secret"
          : reason,
        ...(sqlstate === undefined ? {} : { sqlstate })
      })
    }
  })
