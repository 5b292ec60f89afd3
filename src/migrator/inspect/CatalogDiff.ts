import type { CatalogSnapshot } from "./CatalogSnapshot.ts"

/** One object in which two snapshots differ; `before` or `after` is null where it was not there. */
export interface CatalogDifference {
  readonly object: string
  readonly before: string | null
  readonly after: string | null
}

/** What differs, by object. Empty: the same catalog. */
export const compareCatalogs = (before: CatalogSnapshot, after: CatalogSnapshot): ReadonlyArray<CatalogDifference> =>
  [...new Set([...before.keys(), ...after.keys()])]
    .map((object) => ({ object, before: before.get(object) ?? null, after: after.get(object) ?? null }))
    .filter((one) => one.before !== one.after)
    .sort((a, b) => (a.object < b.object ? -1 : 1))

/** `+ table router.a`: there now and not before. `-`: there before. `~`: there both times, but not alike. */
export const showDifference = ({ after, before, object }: CatalogDifference): string =>
  before === null
    ? `+ ${object}`
    : after === null
      ? `- ${object}`
      : `~ ${object}\n    before: ${before}\n    after:  ${after}`
