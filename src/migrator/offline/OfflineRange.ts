import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { base, revisionName } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import type { Target } from "../plan/Plan.ts"
import { RevisionUnknown } from "../plan/PlanRefusal.ts"
import { parseDowngrade, parseUpgrade } from "../plan/TargetText.ts"

/** Where a script begins and ends. */
export interface OfflineRange {
  readonly from: Target
  readonly to: Target
}

const isPoint = ({ _tag }: Target): boolean => _tag !== "Forward" && _tag !== "Back"

const beginningOf = (text: string): Option.Option<Target> => (text === base ? parseDowngrade(text) : parseUpgrade(text))

/** `from:to`, each `base`, `head` or a revision; `to` as the command reads its target, so that no script goes the wrong way. */
export const parseRange = (
  text: string,
  parseTo: (text: string) => Option.Option<Target>
): Option.Option<OfflineRange> => {
  const [from, to, ...more] = text.split(":")
  if (from === undefined || to === undefined || more.length > 0) return Option.none()
  return Option.all({
    from: Option.filter(beginningOf(from), isPoint),
    to: Option.filter(parseTo(to), isPoint)
  })
}

/** The number of the revision at which a script begins; 0 is base. */
export const beginning = (set: RevisionSet, from: Target): Either.Either<number, RevisionUnknown> => {
  if (from._tag === "Head") return Either.right(headOf(set).number)
  if (from._tag !== "UpTo" && from._tag !== "DownTo") return Either.right(0)
  const revision = set.revisions[from.number - 1]
  if (from.number === 0 || (revision !== undefined && (from.slug === null || from.slug === revision.slug))) {
    return Either.right(from.number)
  }
  const target = from.slug === null ? String(from.number) : revisionName(from.number, from.slug)
  const known =
    revision === undefined
      ? `the head is ${headOf(set).name}`
      : `number ${from.number} is ${revisionName(revision.number, revision.slug)}`
  return Either.left(new RevisionUnknown({ service: set.service, target, known }))
}
