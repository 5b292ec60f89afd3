import * as Effect from "effect/Effect"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { readTree } from "../files/ParseTree.ts"
import { onOneLine, placeholders, type SourceLocation } from "./RevisionFailed.ts"

/**
 * Kinds of statements whose string literals may be passwords or connection strings. The body of a `do` block is one literal,
 * and such a statement may stand in it. `unreadable`: nobody can tell what it would have been.
 */
const secretive = new Set([
  "AlterForeignServerStmt",
  "AlterRoleSetStmt",
  "AlterRoleStmt",
  "AlterSubscriptionStmt",
  "AlterUserMappingStmt",
  "CreateForeignServerStmt",
  "CreateRoleStmt",
  "CreateSubscriptionStmt",
  "CreateUserMappingStmt",
  "DoStmt",
  "unreadable"
])

const hidden = "***"

/** A literal or a comment. The scanner names not every form of a literal (`U&'…'`), but only literals hold an apostrophe. */
const isHidden = (name: string, text: string): boolean =>
  /^(SCONST|SQL_COMMENT|C_COMMENT)$/.test(name) || text.includes("'")

/** `text` without what its literals and comments say, and what that was. Where it cannot be scanned, up to its first quote. */
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

/** Whether a message repeats a word of what was taken out. */
const repeats = (message: string, taken: ReadonlyArray<string>): boolean =>
  taken.flatMap((literal) => literal.split(/[\s='"$\\]+/)).some((word) => word.length >= 3 && message.includes(word))

interface LocatedFailure {
  readonly place: SourceLocation
  readonly cause: DatabaseError
}

/**
 * The place and the error as they may be shown and logged: the statement on one line; without literals where those may
 * be secrets, and then without what the server says of them. By the parser's word for the statement, not by how it looks.
 */
export const withoutSecrets = ({ cause, place }: LocatedFailure): Effect.Effect<LocatedFailure> =>
  Effect.gen(function* () {
    if (placeholders.has(place.statement)) return { cause, place }
    const { kind } = yield* readTree(place.statement)
    const { shown, taken } = secretive.has(kind) ? yield* masked(place.statement) : { shown: "", taken: [] }
    if (taken.length === 0) return { cause, place: { ...place, statement: onOneLine(place.statement) } }
    const { phase, reason, sqlstate } = cause
    const statement = onOneLine(shown)
    const { file, line } = place
    return {
      place: { file, line, source: statement, statement },
      cause: new DatabaseError({
        phase,
        reason: repeats(reason, taken)
          ? "refused; the message is left out, for it repeats what may be a secret"
          : reason,
        ...(sqlstate === undefined ? {} : { sqlstate })
      })
    }
  })
