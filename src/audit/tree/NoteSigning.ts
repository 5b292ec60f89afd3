import * as Crypto from "node:crypto"
import { type Checkpoint, parseCheckpoint } from "./verify/Checkpoint.ts"
import {
  cosignedMessage,
  isKeyName,
  type KeyType,
  keyId,
  keyTypes,
  parseNote,
  Refusal,
  type VerifierKey
} from "./verify/SignedNote.ts"

/** A key that signs notes. */
export interface SigningKey {
  readonly verifier: VerifierKey
  readonly privateKey: Crypto.KeyObject
}

/** Makes a signing key of an Ed25519 private key. Throws for another key, and for a name that a key may not have. */
export const makeSigningKey = (
  name: string,
  privateKey: Crypto.KeyObject,
  type: KeyType = keyTypes.ed25519
): SigningKey => {
  const { x } = Crypto.createPublicKey(privateKey).export({ format: "jwk" })
  if (privateKey.asymmetricKeyType !== "ed25519" || x === undefined) {
    throw new TypeError(`the key of ${name} is not an Ed25519 private key`)
  }
  if (!isKeyName(name)) throw new RangeError(`the name of a key has no white space and no plus sign; got ${name}`)
  const publicKey = Buffer.from(x, "base64url")
  return { verifier: { name, id: keyId(name, type, publicKey), type, publicKey }, privateKey }
}

/** Writes the line that verifiers need: `name+id+base64(type and public key)`. */
export const formatVerifierKey = ({ id, name, publicKey, type }: VerifierKey): string =>
  `${name}+${id}+${Buffer.from([type, ...publicKey]).toString("base64")}`

/** Writes the text of a checkpoint. Throws a RangeError for one that no verifier would read. */
export const formatCheckpoint = ({ origin, root, size }: Checkpoint): string => {
  const text = `${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`
  const read = parseCheckpoint(text)
  if (read instanceof Refusal) throw new RangeError(read.reason)
  return text
}

const checkType = ({ verifier: { name, type } }: SigningKey, needed: KeyType): void => {
  if (type !== needed) throw new RangeError(`the key of ${name} has the type ${type}; this signature needs ${needed}`)
}

const signatureLine = ({ id, name }: VerifierKey, signature: Uint8Array): string =>
  `— ${name} ${Buffer.concat([Buffer.from(id, "hex"), signature]).toString("base64")}\n`

/**
 * Signs a text with each key of a log. The text ends in a line feed. Ed25519 is deterministic: the same text gives the same note. Throws a
 * RangeError for a note that no verifier would read, and for the key of a witness.
 */
export const signNote = (text: string, keys: ReadonlyArray<SigningKey>): string => {
  for (const key of keys) checkType(key, keyTypes.ed25519)
  const message = Buffer.from(text)
  const lines = keys.map(({ privateKey, verifier }) => signatureLine(verifier, Crypto.sign(null, message, privateKey)))
  const note = `${text}\n${lines.join("")}`
  const read = parseNote(Buffer.from(note))
  if (read instanceof Refusal) throw new RangeError(read.reason)
  if (read.text !== text) throw new RangeError("the text of a note ends in a line feed")
  return note
}

/** Makes the signature line of a witness (C2SP tlog-cosignature), for a time in seconds since the epoch. */
export const cosignText = (text: string, key: SigningKey, time: number): string => {
  checkType(key, keyTypes.cosignature)
  const { privateKey, verifier } = key
  const seconds = Buffer.alloc(8)
  seconds.writeBigUInt64BE(BigInt(time))
  const signature = Crypto.sign(null, Buffer.from(cosignedMessage(BigInt(time), text)), privateKey)
  return signatureLine(verifier, Buffer.concat([seconds, signature]))
}
