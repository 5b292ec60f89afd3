import { emptyRoot, equalBytes, hashLength } from "./MerkleProofs.ts"
import {
  decodeBase64,
  keyTypes,
  parseNote,
  Refusal,
  type VerifiedSignature,
  type VerifierKey,
  verifyNote
} from "./SignedNote.ts"

/** What a log says of its tree (C2SP tlog-checkpoint). */
export interface Checkpoint {
  /** The name of the log, which is the name of its key too. */
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** Reads a decimal number without leading zeros, up to 2^53 − 1. */
export const parseCount = (text: string): number | undefined => {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : undefined
}

/** Reads the text of a checkpoint. Extension lines are allowed and not read. */
export const parseCheckpoint = (text: string): Checkpoint | Refusal => {
  const [origin = "", sizeText = "", rootText = "", ...rest] = text.split("\n")
  const extensions = rest.slice(0, -1)
  const size = parseCount(sizeText)
  const root = decodeBase64(rootText)
  if (origin === "" || rest.at(-1) !== "" || extensions.includes("")) {
    return new Refusal("the checkpoint does not consist of an origin, a size and a root, one a line")
  }
  if (size === undefined) return new Refusal("the size of the checkpoint is not a decimal number up to 2^53 - 1")
  if (root === undefined || root.length !== hashLength) {
    return new Refusal("the root of the checkpoint is not the base64 of 32 bytes")
  }
  if (size === 0 && !equalBytes(root, emptyRoot)) return new Refusal("the checkpoint gives an empty tree another root")
  return { origin, size, root }
}

/** The keys that decide whether a checkpoint is trusted. */
export interface TrustPolicy {
  readonly log: VerifierKey
  readonly witnesses: ReadonlyArray<VerifierKey>
  /** How many of the witnesses have to have signed. */
  readonly quorum: number
}

/** Why a policy cannot decide anything; undefined where it can. One key under two names is one witness (C2SP tlog-policy). */
const policyFault = ({ log, quorum, witnesses }: TrustPolicy): string | undefined => {
  if (log.type !== keyTypes.ed25519) return `the key of ${log.name} is not the key of a log`
  const publicKeys = new Set([log, ...witnesses].map(({ publicKey }) => Buffer.from(publicKey).toString("hex")))
  if (publicKeys.size !== witnesses.length + 1)
    return "the log and the witnesses need a key each: two of them are the same"
  const other = witnesses.find(({ type }) => type !== keyTypes.cosignature)
  if (other !== undefined) return `the key of ${other.name} is not the key of a witness`
  return Number.isInteger(quorum) && quorum >= 0 && quorum <= witnesses.length
    ? undefined
    : `a quorum of ${witnesses.length} witnesses is a number from 0 to ${witnesses.length}, not ${quorum}`
}

/** A checkpoint that its log signed, and the witnesses that cosigned it. */
export interface VerifiedCheckpoint extends Checkpoint {
  readonly witnesses: ReadonlyArray<VerifiedSignature>
}

/** Reads and verifies a signed checkpoint. */
export const verifyCheckpoint = (bytes: Uint8Array, policy: TrustPolicy): VerifiedCheckpoint | Refusal => {
  const { log, quorum, witnesses } = policy
  const fault = policyFault(policy)
  if (fault !== undefined) return new Refusal(fault)
  const note = parseNote(bytes)
  if (note instanceof Refusal) return note
  const signatures = verifyNote(note, [log, ...witnesses])
  if (signatures instanceof Refusal) return signatures
  if (!signatures.some(({ key }) => key === log)) return new Refusal(`${log.name} did not sign the checkpoint`)
  const cosigned = signatures.filter(({ key }) => key.type === keyTypes.cosignature)
  if (cosigned.length < quorum) {
    return new Refusal(`${cosigned.length} witnesses signed the checkpoint; ${quorum} are needed`)
  }
  const checkpoint = parseCheckpoint(note.text)
  if (checkpoint instanceof Refusal) return checkpoint
  if (checkpoint.origin !== log.name) {
    return new Refusal(`the checkpoint is of ${checkpoint.origin}, not of ${log.name}`)
  }
  return { ...checkpoint, witnesses: cosigned }
}
