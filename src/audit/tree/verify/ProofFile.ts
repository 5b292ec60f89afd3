import { parseCount, type TrustPolicy, type VerifiedCheckpoint, verifyCheckpoint } from "./Checkpoint.ts"
import { hashLeaf, hashLength, longestProof, verifyInclusion } from "./MerkleProofs.ts"
import { decodeBase64, Refusal } from "./SignedNote.ts"

/** Bytes of the largest proof file that is read: an event has at most some hundred kilobytes. */
export const maxProofBytes = 4_194_304

/** The first line of a proof file. */
export const proofFileHeader = "c2sp.org/tlog-proof@v1"

/** A proof that an entry is in a log, with the checkpoint that it leads to (C2SP tlog-proof). */
export interface ProofFile {
  /** Bytes beside the proof, which it does not cover. */
  readonly extra: Uint8Array | undefined
  readonly index: number
  /** From the sibling of the leaf upward. */
  readonly proof: ReadonlyArray<Uint8Array>
  /** The signed checkpoint, as it was published. */
  readonly checkpoint: Uint8Array
}

const parseHashes = (lines: ReadonlyArray<string>): ReadonlyArray<Uint8Array> | Refusal => {
  if (lines.length > longestProof) return new Refusal(`the proof has more than ${longestProof} hashes`)
  const hashes: Array<Uint8Array> = []
  for (const line of lines) {
    const hash = decodeBase64(line)
    if (hash === undefined || hash.length !== hashLength)
      return new Refusal("a hash of the proof is not the base64 of 32 bytes")
    hashes.push(hash)
  }
  return hashes
}

/** Reads a proof file. Its head is ASCII; the checkpoint after the first empty line is kept byte by byte. */
export const parseProofFile = (bytes: Uint8Array): ProofFile | Refusal => {
  if (bytes.length > maxProofBytes) return new Refusal(`the proof file has more than ${maxProofBytes} bytes`)
  const file = Buffer.from(bytes)
  const end = file.indexOf("\n\n")
  if (end < 0) return new Refusal("the proof file has no empty line before its checkpoint")
  const [header, ...lines] = file.toString("latin1", 0, end).split("\n")
  if (header !== proofFileHeader) return new Refusal(`the proof file does not begin with ${proofFileHeader}`)
  const extraText = lines[0]?.startsWith("extra ") === true ? lines.shift()?.slice("extra ".length) : undefined
  const extra = extraText === undefined ? undefined : decodeBase64(extraText)
  if (extraText !== undefined && extra === undefined)
    return new Refusal("the extra line of the proof file is not base64")
  const [, indexText = ""] = /^index (.*)$/.exec(lines.shift() ?? "") ?? []
  const index = parseCount(indexText)
  if (index === undefined) return new Refusal("the proof file has no valid index line (index and a number)")
  const proof = parseHashes(lines)
  if (proof instanceof Refusal) return proof
  return { extra, index, proof, checkpoint: file.subarray(end + 2) }
}

/** Verifies that the entry is in the log of the policy, at the index that the file names. */
export const verifyProofFile = (
  file: ProofFile,
  entry: Uint8Array,
  policy: TrustPolicy
): VerifiedCheckpoint | Refusal => {
  const checkpoint = verifyCheckpoint(file.checkpoint, policy)
  if (checkpoint instanceof Refusal) return checkpoint
  const { root, size } = checkpoint
  const isIncluded = verifyInclusion({ leaf: hashLeaf(entry), index: file.index, size, root, proof: file.proof })
  return isIncluded ? checkpoint : new Refusal(`the entry is not at index ${file.index} of the tree of size ${size}`)
}
