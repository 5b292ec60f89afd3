import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { forbiddenBecause } from "./ForbiddenStatement.ts"
import { downOf, type Revision, type Section } from "./Revision.ts"
import type { RevisionFileProblem } from "./RevisionFile.ts"
import { RevisionSetInvalid } from "./RevisionSet.ts"
import { splitStatements } from "./Statements.ts"

/** A section with the file that holds it. */
export interface LocatedSection {
  readonly file: string
  readonly section: Section
  /** It belongs to an applied revision, which cannot be changed any more: only its syntax is checked. */
  readonly isApplied?: boolean
}

/** The sections of an SQL revision, in the order of its file. A data revision has none. */
export const sectionsOf = (revision: Revision): ReadonlyArray<LocatedSection> =>
  revision.kind === "ts"
    ? []
    : [revision.up, downOf(revision), Option.getOrNull(revision.verify)].flatMap((section) =>
        section === null ? [] : [{ file: revision.file, section }]
      )

/** The problems of a section: a statement that PostgreSQL's parser refuses, or that a revision may not run. */
const problemsIn = (service: ServiceName, { file, isApplied = false, section }: LocatedSection) =>
  splitStatements(section).pipe(
    Effect.flatMap((statements) =>
      Effect.forEach(isApplied ? [] : statements, ({ line, text }) =>
        Effect.map(
          forbiddenBecause(text, section, service),
          (problem): ReadonlyArray<RevisionFileProblem> => (problem === null ? [] : [{ file, line, problem }])
        )
      )
    ),
    Effect.map((found) => found.flat()),
    Effect.catchAll(({ line, problem }) =>
      Effect.succeed<ReadonlyArray<RevisionFileProblem>>([{ file, line, problem }])
    )
  )

/** Fails with every problem of the sections, so that nothing runs that a later part of the same run would stop. */
export const requireRunnable = (
  service: ServiceName,
  sections: ReadonlyArray<LocatedSection>
): Effect.Effect<void, RevisionSetInvalid> =>
  Effect.flatMap(
    Effect.forEach(sections, (one) => problemsIn(service, one)),
    (found) => {
      const problems = found.flat()
      return problems.length === 0 ? Effect.void : new RevisionSetInvalid({ service, problems })
    }
  )
