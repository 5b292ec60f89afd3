import * as Crypto from "node:crypto"

/** Bytes of a SHA-256 hash. */
export const hashLength = 32

/** Hashes of the longest inclusion proof: sizes end at 2^53 − 1, because a larger number is not exact in JavaScript. */
export const longestProof = 53

/** The hash of an empty tree (RFC 9162, section 2.1.1). */
export const emptyRoot: Uint8Array = Crypto.createHash("sha256").digest()

/** Hashes an entry to its leaf of the tree. */
export const hashLeaf = (entry: Uint8Array): Uint8Array =>
  Crypto.createHash("sha256").update(Uint8Array.of(0)).update(entry).digest()

/** Hashes two children to their parent. */
export const hashChildren = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  Crypto.createHash("sha256").update(Uint8Array.of(1)).update(left).update(right).digest()

/** Whether the number can be the size of a tree or the index of a leaf. */
export const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** A consistency proof may have one hash more than an inclusion proof: the one that it begins with. */
const areHashes = (hashes: ReadonlyArray<Uint8Array>): boolean =>
  hashes.length <= longestProof + 1 && hashes.every((hash) => hash.length === hashLength)

/** Compares two byte strings. Nothing here is secret, so the time does not matter. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const isOdd = (value: number): boolean => value % 2 === 1
const half = (value: number): number => Math.floor(value / 2)

const isPowerOfTwo = (value: number): boolean => {
  let rest = value
  while (rest > 1 && !isOdd(rest)) rest /= 2
  return rest === 1
}

/**
 * Walks from a node up to the root. Passes each hash of the proof with the side that it is on. Returns false when the proof is too long
 * or too short for the tree.
 */
const walkUp = (
  start: { readonly node: number; readonly last: number },
  proof: ReadonlyArray<Uint8Array>,
  visit: (hash: Uint8Array, side: "left" | "right") => void
): boolean => {
  let { last, node } = start
  for (const hash of proof) {
    if (last === 0) return false
    const isLeft = isOdd(node) || node === last
    visit(hash, isLeft ? "left" : "right")
    while (isLeft && !isOdd(node) && node !== 0) {
      node = half(node)
      last = half(last)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0
}

/** A claim that a leaf has an index in a tree. */
export interface InclusionClaim {
  readonly leaf: Uint8Array
  readonly index: number
  readonly size: number
  readonly root: Uint8Array
  /** From the sibling of the leaf upward. */
  readonly proof: ReadonlyArray<Uint8Array>
}

/** Verifies an inclusion proof (RFC 9162, section 2.1.3.2). */
export const verifyInclusion = ({ index, leaf, proof, root, size }: InclusionClaim): boolean => {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root]) || !areHashes(proof)) return false
  let hash = leaf
  const isComplete = walkUp({ node: index, last: size - 1 }, proof, (sibling, side) => {
    hash = side === "left" ? hashChildren(sibling, hash) : hashChildren(hash, sibling)
  })
  return isComplete && equalBytes(hash, root)
}

/** A claim that a tree continues an earlier tree: its first leaves are those of the earlier tree. */
export interface ConsistencyClaim {
  readonly from: { readonly size: number; readonly root: Uint8Array }
  readonly to: { readonly size: number; readonly root: Uint8Array }
  readonly proof: ReadonlyArray<Uint8Array>
}

/**
 * Verifies a consistency proof (RFC 9162, section 2.1.4.2). The RFC defines none from the empty tree, so false is returned for size 0.
 */
export const verifyConsistency = ({ from, proof, to }: ConsistencyClaim): boolean => {
  if (!isCount(from.size) || !isCount(to.size) || from.size === 0 || from.size > to.size) return false
  if (!areHashes([from.root, to.root]) || !areHashes(proof)) return false
  if (from.size === to.size) return proof.length === 0 && equalBytes(from.root, to.root)
  if (proof.length === 0) return false
  const [first = from.root, ...rest] = isPowerOfTwo(from.size) ? [from.root, ...proof] : proof
  let node = from.size - 1
  let last = to.size - 1
  while (isOdd(node)) {
    node = half(node)
    last = half(last)
  }
  let fromRoot = first
  let toRoot = first
  const isComplete = walkUp({ node, last }, rest, (hash, side) => {
    if (side === "left") fromRoot = hashChildren(hash, fromRoot)
    toRoot = side === "left" ? hashChildren(hash, toRoot) : hashChildren(toRoot, hash)
  })
  return isComplete && equalBytes(fromRoot, from.root) && equalBytes(toRoot, to.root)
}
