import * as Crypto from "node:crypto"
import { expect, it } from "@effect/vitest"
import { consistencySteps, foldSteps, inclusionSteps, type Subtree } from "../../../src/audit/tree/ProofBuilding.ts"
import { RightEdge } from "../../../src/audit/tree/RightEdge.ts"
import {
  emptyRoot,
  hashChildren,
  hashLeaf,
  verifyConsistency,
  verifyInclusion
} from "../../../src/audit/tree/verify/MerkleProofs.ts"
import vectors from "./vectors/merkle.json" with { type: "json" }

const largest = 300
const leaves = Array.from({ length: largest }, (_, index) => hashLeaf(Buffer.from(`entry ${index}`)))

const splitOf = (count: number) => 2 ** Math.floor(Math.log2(count - 1))

const known = new Map<string, Uint8Array>()

/** The definition of RFC 9162, section 2.1.1, over the leaves from `start` up to `end`. */
const definition = (start: number, end: number): Uint8Array => {
  const key = `${start}-${end}`
  const before = known.get(key)
  if (before !== undefined) return before
  const middle = start + splitOf(end - start)
  const hash =
    end === start
      ? emptyRoot
      : end - start === 1
        ? (leaves[start] ?? emptyRoot)
        : hashChildren(definition(start, middle), definition(middle, end))
  known.set(key, hash)
  return hash
}

/** The definition of RFC 9162, section 2.1.3.1. */
const inclusion = (index: number, start: number, end: number): ReadonlyArray<Uint8Array> => {
  if (end - start === 1) return []
  const middle = start + splitOf(end - start)
  return index < middle
    ? [...inclusion(index, start, middle), definition(middle, end)]
    : [...inclusion(index, middle, end), definition(start, middle)]
}

/** The definition of RFC 9162, section 2.1.4.1. */
const consistency = (from: number, start: number, end: number, isWhole: boolean): ReadonlyArray<Uint8Array> => {
  if (from === end) return isWhole ? [] : [definition(start, end)]
  const middle = start + splitOf(end - start)
  return from <= middle
    ? [...consistency(from, start, middle, isWhole), definition(middle, end)]
    : [...consistency(from, middle, end, false), definition(start, middle)]
}

/** Compares hash lists faster than `toEqual`, which takes most of the test's time. */
const areSame = (a: ReadonlyArray<Uint8Array>, b: ReadonlyArray<Uint8Array>) =>
  a.length === b.length && Buffer.concat(a).equals(Buffer.concat(b))

const subtree = ({ index, level }: Subtree) => definition(index * 2 ** level, (index + 1) * 2 ** level)
const inclusionProof = (index: number, size: number) => foldSteps(inclusionSteps(index, size), subtree)
const consistencyProof = (from: number, to: number) => foldSteps(consistencySteps(from, to), subtree)

const pairs = Array.from({ length: largest }, (_, size) =>
  Array.from({ length: size + 1 }, (_, index) => [index, size + 1] as const)
).flat()

it("the right edge has the root of the definition at each size up to 300", () => {
  const edge = new RightEdge()
  expect(edge.root()).toEqual(emptyRoot)
  leaves.forEach((leaf, index) => {
    edge.append(leaf, (level, at, hash) => expect(hash).toEqual(subtree({ level, index: at })))
    expect(edge.root()).toEqual(definition(0, index + 1))
    expect(new RightEdge(edge.size, edge.hashes).root()).toEqual(edge.root())
  })
})

it("a right edge whose hashes do not fit its size is refused", () => {
  expect(() => new RightEdge(3, leaves.slice(0, 1))).toThrow(RangeError)
  expect(() => new RightEdge(-1)).toThrow(RangeError)
  expect(() => new RightEdge(2 ** 53)).toThrow(RangeError)
})

it("each inclusion proof up to 300 leaves is that of the definition and verifies", () => {
  for (const [index, size] of pairs) {
    const proof = inclusionProof(index, size)
    expect(areSame(proof, inclusion(index, 0, size))).toBe(true)
    const claim = { leaf: definition(index, index + 1), index, size, root: definition(0, size), proof }
    expect(verifyInclusion(claim)).toBe(true)
  }
})

it("each consistency proof up to 300 leaves is that of the definition and verifies", () => {
  for (const [before, to] of pairs) {
    const from = before + 1
    const proof = consistencyProof(from, to)
    expect(areSame(proof, consistency(from, 0, to, true))).toBe(true)
    const claim = { from: { size: from, root: definition(0, from) }, to: { size: to, root: definition(0, to) }, proof }
    expect(verifyConsistency(claim)).toBe(true)
  }
})

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy
}

const someSizes = [1, 2, 3, 7, 8, 9, 100, 256, 257, 300]

it("a proof with any bit flipped, a hash more or a hash less is refused", () => {
  for (const size of someSizes) {
    const index = Math.floor(size / 3)
    const proof = inclusionProof(index, size)
    const claim = { leaf: definition(index, index + 1), index, size, root: definition(0, size), proof }
    const from = Math.max(1, Math.floor(size / 2))
    const steps = consistencyProof(from, size)
    const growth = { from: { size: from, root: definition(0, from) }, to: { size, root: claim.root }, proof: steps }
    const changed = (hashes: ReadonlyArray<Uint8Array>) => [
      [...hashes, emptyRoot],
      ...(hashes.length === 0 ? [] : [hashes.slice(1), hashes.slice(0, -1), hashes.with(0, emptyRoot.subarray(1))]),
      ...hashes.flatMap((hash, at) => Array.from({ length: 256 }, (_, bit) => hashes.with(at, flip(hash, bit))))
    ]
    for (const other of changed(proof)) expect(verifyInclusion({ ...claim, proof: other })).toBe(false)
    for (const other of changed(steps)) expect(verifyConsistency({ ...growth, proof: other })).toBe(false)
    for (let bit = 0; bit < 256; bit++) {
      expect(verifyInclusion({ ...claim, leaf: flip(claim.leaf, bit) })).toBe(false)
      expect(verifyInclusion({ ...claim, root: flip(claim.root, bit) })).toBe(false)
      const to = { ...growth.to, root: flip(growth.to.root, bit) }
      expect(verifyConsistency({ ...growth, to })).toBe(false)
      const start = { ...growth.from, root: flip(growth.from.root, bit) }
      expect(verifyConsistency({ ...growth, from: start })).toBe(false)
    }
  }
})

it("a proof does not verify at another index", () => {
  for (const index of [0, 1, 5, 6, 7, 8]) {
    const claim = { leaf: definition(5, 6), index, size: 8, root: definition(0, 8), proof: inclusionProof(5, 8) }
    expect(verifyInclusion(claim)).toBe(index === 5)
  }
})

it("sizes and indexes that are not exact counts are refused", () => {
  const claim = { leaf: definition(0, 1), index: 0, size: 1, root: definition(0, 1), proof: [] }
  expect(verifyInclusion(claim)).toBe(true)
  for (const size of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    expect(verifyInclusion({ ...claim, size })).toBe(false)
    if (size !== 0) expect(verifyInclusion({ ...claim, index: size })).toBe(false)
    const tree = { size, root: claim.root }
    expect(verifyConsistency({ from: tree, to: tree, proof: [] })).toBe(false)
  }
  const two = { size: 2, root: definition(0, 2) }
  expect(verifyConsistency({ from: two, to: { size: 1, root: claim.root }, proof: [] })).toBe(false)
  expect(() => inclusionSteps(8, 8)).toThrow(RangeError)
  expect(() => consistencySteps(0, 8)).toThrow(RangeError)
  expect(() => consistencySteps(9, 8)).toThrow(RangeError)
})

it("a proof in the largest tree has a hash for each level", () => {
  const size = Number.MAX_SAFE_INTEGER
  expect(inclusionSteps(0, size)).toHaveLength(53)
  expect(inclusionSteps(size - 1, size)).toHaveLength(52)
  const leaf = definition(0, 1)
  const proof = Array.from({ length: 53 }, (_, at) => Crypto.createHash("sha256").update(String(at)).digest())
  const root = proof.reduce((hash: Uint8Array, sibling) => hashChildren(hash, sibling), leaf)
  expect(verifyInclusion({ leaf, index: 0, size, root, proof })).toBe(true)
})

it("a consistency proof may have a hash more than an inclusion proof in the largest tree", () => {
  const size = 2 ** 52 + 1
  expect(consistencySteps(3, size)).toHaveLength(54)
  const proof = Array.from({ length: 54 }, (_, at) => Crypto.createHash("sha256").update(String(at)).digest())
  const [third = emptyRoot, fourth = emptyRoot, firstTwo = emptyRoot, ...right] = proof
  const from = { size: 3, root: hashChildren(firstTwo, third) }
  const four = hashChildren(firstTwo, hashChildren(third, fourth))
  const to = { size, root: right.reduce((hash: Uint8Array, sibling) => hashChildren(hash, sibling), four) }
  expect(verifyConsistency({ from, to, proof })).toBe(true)
})

it("a right edge takes no leaf that is not a hash, and none where the listener throws", () => {
  const edge = new RightEdge()
  edge.append(definition(0, 1))
  const stop = (level: number) => {
    if (level === 1) throw new Error("stop")
  }
  expect(() => edge.append(definition(1, 2), stop)).toThrow("stop")
  expect(() => edge.append(new Uint8Array(31))).toThrow(RangeError)
  expect(edge.root()).toEqual(definition(0, 1))
  const before = edge.hashes
  edge.append(definition(1, 2))
  expect(before).toEqual([definition(0, 1)])
  expect(edge.root()).toEqual(definition(0, 2))
  expect(() => new RightEdge(1, [new Uint8Array(5)])).toThrow(RangeError)
})

const bytesOf = (hex: ReadonlyArray<string>) => hex.map((text) => new Uint8Array(Buffer.from(text, "hex")))

it("the vectors of RFC 6962 verify", () => {
  const entries = bytesOf(vectors.leaves)
  const roots = bytesOf(vectors.roots)
  const edge = new RightEdge()
  roots.forEach((root, size) => {
    expect(Buffer.from(edge.root())).toEqual(Buffer.from(root))
    const entry = entries[size]
    if (entry !== undefined) edge.append(hashLeaf(entry))
  })
  const rootOf = (size: number) => roots[size] ?? new Uint8Array()
  for (const { index, proof, size } of vectors.inclusion) {
    const leaf = hashLeaf(entries[index] ?? new Uint8Array())
    expect(verifyInclusion({ leaf, index, size, root: rootOf(size), proof: bytesOf(proof) })).toBe(true)
  }
  for (const { from, proof, to } of vectors.consistency) {
    const claim = { from: { size: from, root: rootOf(from) }, to: { size: to, root: rootOf(to) } }
    expect(verifyConsistency({ ...claim, proof: bytesOf(proof) })).toBe(true)
  }
})
