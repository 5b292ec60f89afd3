import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../domain/Service.ts"
import { type Connection, connect } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { downOf, type Section } from "../files/Revision.ts"
import type { RevisionFileProblem } from "../files/RevisionFile.ts"
import { RevisionSetInvalid } from "../files/RevisionSet.ts"
import { locate } from "../files/Statements.ts"
import type { Step } from "../plan/Plan.ts"
import type { MigrationSession } from "./Session.ts"
import { sourceOf } from "./StepContext.ts"

/** The major version of PostgreSQL whose parser reads the files. A server from it on reads them too. */
export const parserVersion = 18

/**
 * Makes a text the body of a function in SQL. The server's grammar reads every statement of it, and Parse of such a statement does
 * nothing more: it looks up no name, plans nothing and locks nothing. PostgreSQL 14 and later.
 */
const opening = "create function pg_temp.revision() returns void begin atomic\n"
const asBody = (text: string): string => `${opening}${text}\n;\nend`

/** The first error of the server's own grammar in a section, with its line in the file; none if it reads all of it. */
export const syntaxProblem = (
  connection: Pick<Connection, "parse">,
  { line, text }: Pick<Section, "line" | "text">
): Effect.Effect<Option.Option<{ readonly line: number; readonly problem: string }>, DatabaseError> =>
  connection.parse(asBody(text)).pipe(
    Effect.as(Option.none()),
    Effect.catchIf(
      ({ position, sqlstate }) => sqlstate !== undefined && position !== undefined,
      ({ position = 1, reason }) => {
        const at = locate(text, Math.max(position - 1 - opening.length, 0))
        return Effect.succeed(Option.some({ line: line + at.line - 1, problem: reason }))
      }
    )
  )

interface LocatedSection {
  readonly file: string
  readonly section: Section
}

/** The sections that a step runs now or stores for later. Modules have none. */
const sectionsOf = (service: ServiceName, step: Step): ReadonlyArray<LocatedSection> => {
  const { kind } = step._tag === "Apply" ? step.revision : step.entry
  if (kind === "ts") return []
  const file = sourceOf(step, service)
  const sections =
    step._tag === "Apply"
      ? [step.revision.up, downOf(step.revision), Option.getOrNull(step.revision.verify)]
      : [step.down]
  return sections.flatMap((section) => (section === null ? [] : [{ file, section }]))
}

/**
 * Refuses steps whose text a server older than the parser cannot read, before the first one runs. Bodies of functions and DO blocks,
 * SQL that is put together while it runs, and the names of functions and options are known only when they run.
 */
export const refuseNewerSyntax = (
  service: ServiceName,
  url: Redacted.Redacted,
  session: MigrationSession,
  steps: ReadonlyArray<Step>
) =>
  Effect.gen(function* () {
    if (session.serverVersion >= parserVersion) return
    // The session of the run sends queries ahead, which the driver allows for its own queries only.
    const connection = yield* connect({ url, applicationName: `gravitas migrate ${service} (syntax)` })
    const problems: Array<RevisionFileProblem> = []
    for (const { file, section } of steps.flatMap((step) => sectionsOf(service, step))) {
      const found = yield* syntaxProblem(connection, section)
      if (Option.isSome(found)) {
        const { line, problem } = found.value
        problems.push({
          file,
          line,
          problem: `PostgreSQL ${session.serverVersion}, this server, cannot read it: ${problem}`
        })
      }
    }
    if (problems.length > 0) return yield* new RevisionSetInvalid({ service, problems })
  }).pipe(Effect.scoped, Effect.catchTag("DatabaseError", session.refuse("asking the server to parse the revisions")))
