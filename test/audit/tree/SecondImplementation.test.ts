import { createRequire } from "node:module"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { foldSteps, inclusionSteps } from "../../../src/audit/tree/ProofBuilding.ts"
import { RightEdge } from "../../../src/audit/tree/RightEdge.ts"
import { hashLeaf } from "../../../src/audit/tree/verify/MerkleProofs.ts"

/*
 * A client of another project verifies proofs that are made here. Its parser of checkpoints is not used: it splits a note at the first
 * empty line and refuses signatures of keys that it does not know, against the specification.
 */

interface OtherVerifier {
  verifyMerkleInclusion(entry: object, checkpoint: object): void
}

const isOtherVerifier = (value: unknown): value is OtherVerifier =>
  Schema.is(Schema.Struct({ verifyMerkleInclusion: Schema.declare((it) => typeof it === "function") }))(value)

const load = createRequire(import.meta.url)
const loaded: unknown = load(Path.join(Path.dirname(load.resolve("@sigstore/verify")), "tlog", "merkle.js"))

it("another implementation verifies each inclusion proof up to 100 leaves", () => {
  if (!isOtherVerifier(loaded)) throw new Error("the other implementation has no verifyMerkleInclusion")
  const subtrees = new Map<string, Uint8Array>()
  const edge = new RightEdge()
  for (let size = 1; size <= 100; size++) {
    edge.append(hashLeaf(Buffer.from(`entry ${size - 1}`)), (level, index, hash) =>
      subtrees.set(`${level}/${index}`, hash)
    )
    const checkpoint = { logSize: BigInt(size), logHash: Buffer.from(edge.root()) }
    for (let index = 0; index < size; index++) {
      const proof = foldSteps(inclusionSteps(index, size), (at) => subtrees.get(`${at.level}/${at.index}`) ?? at0)
      const claim = (logIndex: number) => ({
        canonicalizedBody: Buffer.from(`entry ${index}`),
        inclusionProof: { logIndex: String(logIndex), hashes: proof.map((hash) => Buffer.from(hash)) }
      })
      expect(() => loaded.verifyMerkleInclusion(claim(index), checkpoint)).not.toThrow()
      if (size > 1) expect(() => loaded.verifyMerkleInclusion(claim((index + 1) % size), checkpoint)).toThrow()
    }
  }
})

const at0 = new Uint8Array()
