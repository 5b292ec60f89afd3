import { emptyRoot, hashChildren, hashLength, isCount } from "./verify/MerkleProofs.ts"

/** Receives each full subtree when it is complete: its leaves are those from index · 2^level. */
export type SubtreeListener = (level: number, index: number, hash: Uint8Array) => void

/** Full subtrees of a tree of this size: the ones in the size's binary form. */
const subtreesIn = (size: number): number => {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}

/**
 * The right edge of a growing tree: the hashes of its full subtrees, from the largest to the smallest. It is all that appending
 * leaves and computing the root need, at most 53 hashes.
 */
export class RightEdge {
  private readonly subtrees: Array<Uint8Array>

  /** Throws where the number of hashes does not fit the size. */
  constructor(
    private count = 0,
    hashes: ReadonlyArray<Uint8Array> = []
  ) {
    if (!isCount(count) || hashes.length !== subtreesIn(count) || hashes.some((hash) => hash.length !== hashLength)) {
      throw new RangeError(`a tree of size ${count} does not have a right edge of these ${hashes.length} hashes`)
    }
    this.subtrees = [...hashes]
  }

  get size(): number {
    return this.count
  }

  get hashes(): ReadonlyArray<Uint8Array> {
    return [...this.subtrees]
  }

  /** Appends a leaf, by its hash, which is kept. Nothing is appended where the listener throws. */
  append(leaf: Uint8Array, onSubtree: SubtreeListener = () => {}): void {
    if (leaf.length !== hashLength || !isCount(this.count + 1)) {
      throw new RangeError(`a leaf of ${leaf.length} bytes is not appended to a tree of size ${this.count}`)
    }
    let hash = leaf
    let index = this.count
    let level = 0
    onSubtree(level, index, hash)
    while (index % 2 === 1) {
      const left = this.subtrees.at(-1 - level)
      if (left === undefined) throw new Error(`the right edge of a tree of size ${this.count} is incomplete`)
      hash = hashChildren(left, hash)
      index = Math.floor(index / 2)
      level += 1
      onSubtree(level, index, hash)
    }
    this.subtrees.length -= level
    this.subtrees.push(hash)
    this.count += 1
  }

  /** Computes the root of the tree. */
  root(): Uint8Array {
    return this.subtrees.length === 0
      ? Buffer.from(emptyRoot)
      : this.subtrees.reduceRight((right, left) => hashChildren(left, right))
  }
}
