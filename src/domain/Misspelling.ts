import { editDistance } from "./ClosestName.ts"

/** Names are written in several styles: `forceTier`, `Force-Tier` and `force_tier` mean the same. */
const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "")

/** A longer text is not a misspelt name; it is not looked at. */
const longestName = 40

/** Whether `name` is not `known` and is meant to be: in another style, or with one character wrong. */
export const isMisspelling = (name: string, known: string): boolean =>
  name !== known && name.length <= longestName && editDistance(plain(name), plain(known), 1) <= 1
