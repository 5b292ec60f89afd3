import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { base, revisionName } from "../files/Revision.ts"
import { headOf, type RevisionSet } from "../files/RevisionSet.ts"
import { type RevisionName, type RevisionUnknown, unknownRevision } from "./PlanRefusal.ts"

/** The revision to migrate to. `DownTo` 0 is base. */
export type Target = Data.TaggedEnum<{
  Head: Readonly<Record<never, never>>
  UpTo: RevisionName
  Forward: { readonly count: number }
  DownTo: RevisionName
  Back: { readonly count: number }
  /** Back by `count`, then forward again to the same revision. */
  Redo: { readonly count: number }
}>
export const Target = Data.taggedEnum<Target>()

const named = (text: string): Option.Option<RevisionName> => {
  const match = /^(\d{1,4})(?:_([a-z0-9_]+))?$/.exec(text)
  return match === null ? Option.none() : Option.some({ number: Number(match[1]), slug: match[2] ?? null })
}

/** Parses `head`, `+N`, or a revision: `2`, `0002`, `0002_add_reason`. */
export const parseUpgrade = (text: string): Option.Option<Target> => {
  if (text === "head") return Option.some(Target.Head())
  const forward = /^\+([1-9]\d{0,3})$/.exec(text)
  if (forward !== null) return Option.some(Target.Forward({ count: Number(forward[1]) }))
  return Option.map(named(text), Target.UpTo)
}

/** Parses `base`, `-N`, or the revision to stop at, which stays applied. */
export const parseDowngrade = (text: string): Option.Option<Target> => {
  if (text === "base") return Option.some(Target.DownTo({ number: 0, slug: null }))
  const back = /^-([1-9]\d{0,3})$/.exec(text)
  if (back !== null) return Option.some(Target.Back({ count: Number(back[1]) }))
  return Option.map(named(text), Target.DownTo)
}

/** The revisions at which a script begins and ends. */
export interface OfflineRange {
  readonly from: Target
  readonly to: Target
}

const isPoint = ({ _tag }: Target): boolean => _tag !== "Forward" && _tag !== "Back"

const beginningOf = (text: string): Option.Option<Target> => (text === base ? parseDowngrade(text) : parseUpgrade(text))

/** Parses `from:to`. `parseTo` is the parser of the command's target, so that no script goes in the wrong direction. */
export const parseRange = (
  text: string,
  parseTo: (text: string) => Option.Option<Target>
): Option.Option<OfflineRange> => {
  const [from, to, ...more] = text.split(":")
  if (from === undefined || to === undefined || more.length > 0) return Option.none()
  return Option.all({ from: Option.filter(beginningOf(from), isPoint), to: Option.filter(parseTo(to), isPoint) })
}

/** Finds the number of the revision at which a script begins; 0 is base. */
export const beginning = (set: RevisionSet, from: Target): Either.Either<number, RevisionUnknown> => {
  if (from._tag === "Head") return Either.right(headOf(set).number)
  if (from._tag !== "UpTo" && from._tag !== "DownTo") return Either.right(0)
  const revision = set.revisions[from.number - 1]
  if (from.number === 0 || (revision !== undefined && (from.slug === null || from.slug === revision.slug))) {
    return Either.right(from.number)
  }
  const known = revision && `number ${from.number} is ${revisionName(revision.number, revision.slug)}`
  return Either.left(unknownRevision(set, from, known))
}
