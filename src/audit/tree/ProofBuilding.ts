import { hashChildren, isCount } from "./verify/MerkleProofs.ts"

/** A full subtree: 2^level leaves from index · 2^level. */
export interface Subtree {
  readonly level: number
  readonly index: number
}

/** One hash of a proof: it is folded from these full subtrees, which are adjacent, from left to right. */
export type ProofStep = ReadonlyArray<Subtree>

/** Leaves from `start` up to `end`, which is excluded. */
interface LeafRange {
  readonly start: number
  readonly end: number
}

/** The largest power of two below a number greater than 1. */
const splitOf = (count: number): number => {
  let split = 1
  while (split * 2 < count) split *= 2
  return split
}

/** Divides a range that begins at a multiple of its largest power of two into full subtrees. */
const subtreesOf = ({ end, start }: LeafRange): ProofStep => {
  const subtrees: Array<Subtree> = []
  let from = start
  while (from < end) {
    let level = 0
    let leaves = 1
    while (leaves * 2 <= end - from) {
      leaves *= 2
      level += 1
    }
    subtrees.push({ level, index: from / leaves })
    from += leaves
  }
  return subtrees
}

/** Names the hashes of an inclusion proof (RFC 9162, section 2.1.3.1), from the sibling of the leaf upward. */
export const inclusionSteps = (index: number, size: number): ReadonlyArray<ProofStep> => {
  if (!isCount(index) || !isCount(size) || index >= size) {
    throw new RangeError(`a tree of size ${size} has no leaf ${index}; choose an index below the size`)
  }
  const siblings: Array<LeafRange> = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      siblings.push({ start: middle, end })
      end = middle
    } else {
      siblings.push({ start, end: middle })
      start = middle
    }
  }
  return siblings.reverse().map(subtreesOf)
}

/** Names the hashes of a consistency proof (RFC 9162, section 2.1.4.1). The proof from a tree to itself is empty. */
export const consistencySteps = (from: number, to: number): ReadonlyArray<ProofStep> => {
  if (!isCount(from) || !isCount(to) || from === 0 || from > to) {
    throw new RangeError(
      `no consistency proof leads from size ${from} to size ${to}; the first must be 1 to the second`
    )
  }
  const parts: Array<LeafRange> = []
  let start = 0
  let end = to
  while (from !== end) {
    const middle = start + splitOf(end - start)
    if (from <= middle) {
      parts.push({ start: middle, end })
      end = middle
    } else {
      parts.push({ start, end: middle })
      start = middle
    }
  }
  // The verifier knows the root of the earlier tree, so the proof names a subtree of it only where it is not that tree.
  if (start > 0) parts.push({ start, end })
  return parts.reverse().map(subtreesOf)
}

/** Folds each step into its hash. `hashOf` returns the hashes of the full subtrees that the steps name. */
export const foldSteps = (
  steps: ReadonlyArray<ProofStep>,
  hashOf: (subtree: Subtree) => Uint8Array
): ReadonlyArray<Uint8Array> =>
  steps.map((step) => step.map(hashOf).reduceRight((right, left) => hashChildren(left, right)))
