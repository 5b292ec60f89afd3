import * as Crypto from "node:crypto"

/** Why a note, a checkpoint, a key or a proof is not accepted. */
export class Refusal {
  constructor(readonly reason: string) {}
}

/** Bytes and signatures of the largest note that is read, and characters of the longest verifier key. */
const maxNoteBytes = 1_048_576
const maxSignatures = 64
const maxKeyLength = 1_024

/** Decodes base64 in its one canonical form; undefined for any other text. */
export const decodeBase64 = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}

/** Whether a key may have this name: not empty, without white space, control characters and plus signs. */
export const isKeyName = (name: string): boolean => name.length > 0 && !/[\p{White_Space}+\p{Cc}]/u.test(name)

/** Algorithms of keys: Ed25519 for logs, and timestamped Ed25519 cosignatures for witnesses. */
export const keyTypes = { ed25519: 0x01, cosignature: 0x04 } as const
export type KeyType = (typeof keyTypes)[keyof typeof keyTypes]

/** A key that verifies signatures of notes. */
export interface VerifierKey {
  readonly name: string
  /** 8 hexadecimal digits. */
  readonly id: string
  readonly type: KeyType
  /** The 32 bytes of an Ed25519 public key. */
  readonly publicKey: Uint8Array
}

/** Computes the id of a key: the first four bytes of a hash over its name, type and public key. */
export const keyId = (name: string, type: KeyType, publicKey: Uint8Array): string =>
  Crypto.createHash("sha256")
    .update(`${name}\n`)
    .update(Uint8Array.of(type))
    .update(publicKey)
    .digest("hex")
    .slice(0, 8)

/** Reads a verifier key: `name+id+base64(type and public key)`. */
export const parseVerifierKey = (text: string): VerifierKey | Refusal => {
  if (text.length > maxKeyLength) return new Refusal(`a verifier key has at most ${maxKeyLength} characters`)
  const [, name = "", id = "", encoded = ""] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text) ?? []
  const bytes = decodeBase64(encoded)
  if (bytes === undefined || !isKeyName(name)) {
    return new Refusal("the verifier key is not name+id+base64; use the whole line that the log publishes")
  }
  const publicKey = bytes.subarray(1)
  const type = Object.values(keyTypes).find((known) => known === bytes[0])
  if (type === undefined || publicKey.length !== 32) {
    return new Refusal(`the verifier key of ${name} is not an Ed25519 key (types 1 and 4 are known)`)
  }
  if (keyId(name, type, publicKey) !== id) return new Refusal(`the verifier key of ${name} does not have the id ${id}`)
  return { name, id, type, publicKey }
}

/** A line of a signature, not verified. */
export interface NoteSignature {
  readonly name: string
  /** 8 hexadecimal digits. */
  readonly keyId: string
  readonly signature: Uint8Array
}

/** A note whose signatures are not verified. */
export interface SignedNote {
  /** The signed text, with its last line feed. */
  readonly text: string
  readonly signatures: ReadonlyArray<NoteSignature>
}

const parseSignature = (line: string): NoteSignature | undefined => {
  const [, name = "", encoded = ""] = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? []
  const bytes = decodeBase64(encoded)
  if (bytes === undefined || bytes.length < 5 || !isKeyName(name)) return undefined
  return { name, keyId: bytes.toString("hex", 0, 4), signature: bytes.subarray(4) }
}

const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Reads a signed note (C2SP). The text ends at the last empty line, so that it may hold empty lines itself. */
export const parseNote = (bytes: Uint8Array): SignedNote | Refusal => {
  if (bytes.length > maxNoteBytes)
    return new Refusal(`the note has ${bytes.length} bytes; at most ${maxNoteBytes} are read`)
  const note = decodeUtf8(bytes)
  if (note === undefined) return new Refusal("the note is not UTF-8")
  if (/[^\P{Cc}\n]/u.test(note)) return new Refusal("the note has a control character other than a line feed")
  const end = note.lastIndexOf("\n\n")
  if (end < 0 || !note.endsWith("\n") || end + 2 === note.length) {
    return new Refusal("the note does not end in an empty line and lines of signatures")
  }
  const lines = note.slice(end + 2, -1).split("\n")
  if (lines.length > maxSignatures) return new Refusal(`the note has more than ${maxSignatures} signatures`)
  const signatures: Array<NoteSignature> = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === undefined) return new Refusal("a line of the note is not a signature")
    signatures.push(signature)
  }
  return { text: note.slice(0, end + 1), signatures }
}

/** A signature that a known key made. */
export interface VerifiedSignature {
  readonly key: VerifierKey
  /** Seconds since the epoch, of a cosignature. */
  readonly time: number | undefined
}

/** The message that a witness signs: the time and the whole text of the note. */
export const cosignedMessage = (time: bigint, text: string): string => `cosignature/v1\ntime ${time}\n${text}`

const verifyEd25519 = (key: VerifierKey, message: string, signature: Uint8Array): boolean => {
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key.publicKey).toString("base64url") }
  return (
    signature.length === 64 &&
    Crypto.verify(null, Buffer.from(message), Crypto.createPublicKey({ key: jwk, format: "jwk" }), signature)
  )
}

const verifySignature = (key: VerifierKey, text: string, signature: Uint8Array): VerifiedSignature | undefined => {
  if (key.type === keyTypes.ed25519) {
    return verifyEd25519(key, text, signature) ? { key, time: undefined } : undefined
  }
  if (signature.length !== 72) return undefined
  const time = Buffer.from(signature).readBigUInt64BE(0)
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return verifyEd25519(key, cosignedMessage(time, text), signature.subarray(8))
    ? { key, time: Number(time) }
    : undefined
}

/**
 * Verifies the signatures of known keys. Signatures of other keys are ignored. One that fails although its key is known makes the
 * whole note invalid. A note without a signature of a known key is invalid too. Of several cosignatures of a key the latest counts.
 */
export const verifyNote = (
  note: SignedNote,
  keys: ReadonlyArray<VerifierKey>
): ReadonlyArray<VerifiedSignature> | Refusal => {
  const verified = new Map<VerifierKey, VerifiedSignature>()
  for (const { keyId: id, name, signature } of note.signatures) {
    const known = keys.filter((key) => key.name === name && key.id === id)
    for (const key of known) {
      const accepted = verifySignature(key, note.text, signature)
      if (accepted === undefined) return new Refusal(`the signature of ${name}+${id} does not fit the note`)
      const earlier = verified.get(key)?.time ?? Number.NEGATIVE_INFINITY
      if (!verified.has(key) || (accepted.time ?? 0) > earlier) verified.set(key, accepted)
    }
  }
  return verified.size === 0 ? new Refusal("no known key signed the note") : [...verified.values()]
}
