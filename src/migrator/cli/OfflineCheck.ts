import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { loadDataRevision } from "../files/DataModule.ts"
import { loadRevisionSet } from "../files/MigrationFiles.ts"
import type { Revision, Section } from "../files/Revision.ts"
import type { FileProblem } from "../files/RevisionFile.ts"
import { headOf, RevisionSetInvalid } from "../files/RevisionSet.ts"
import { split } from "../files/Statements.ts"

const sectionsOf = ({ reversal, up, verify }: Revision): ReadonlyArray<Section> => [
  up,
  ...(reversal._tag === "Down" ? [reversal.section] : []),
  ...Option.toArray(verify)
]

/**
 * What can be known about a service's files without a database: names, numbers, markers, downs and syntax. A data revision is
 * imported, not run, to see that it exports one.
 */
export const checkFiles = Effect.fn("Migrator.check")(function* (service: ServiceName) {
  const set = yield* loadRevisionSet(service)
  const problems = yield* Effect.forEach(set.revisions, (revision) =>
    Effect.forEach(revision.kind === "ts" ? [] : sectionsOf(revision), (section) =>
      split(section).pipe(
        Effect.as(Option.none<FileProblem>()),
        Effect.catchAll(({ line, problem }) => Effect.succeedSome({ file: revision.file, line, problem }))
      )
    )
  )
  const found = problems.flat().flatMap(Option.toArray)
  if (found.length > 0) return yield* new RevisionSetInvalid({ service, problems: found })
  yield* Effect.forEach(
    set.revisions.filter(({ kind }) => kind === "ts"),
    loadDataRevision,
    { discard: true }
  )
  return { service, head: headOf(set).name, revisions: set.revisions.length }
})
