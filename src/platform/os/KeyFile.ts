import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { calculateJwkThumbprint } from "jose"
import { reasonOf } from "./FileTrust.ts"
import * as PrivateFile from "./PrivateFile.ts"

/** A key in the home cannot be read or made, or others can read or replace it. */
export class KeyFileUnsafe extends Schema.TaggedError<KeyFileUnsafe>()("KeyFileUnsafe", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `the key ${this.file} cannot be used: ${this.problem}. Fix it, or move it away so that a new key is made`
  }
}

/** A public Ed25519 key. */
export interface PublicKey {
  /** The key's thumbprint (RFC 7638). */
  readonly id: string
  /** The 32 bytes of the key in base64url, as in a JWK. */
  readonly x: string
}

/** An Ed25519 key of this process. */
export interface PrivateKey extends PublicKey {
  readonly file: string
  readonly key: KeyObject
}

/** Completes 32 bytes of a public key with their thumbprint. */
export const publicKeyOf = (x: string): Effect.Effect<PublicKey> =>
  Effect.map(
    Effect.promise(() => calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x })),
    (id) => ({ id, x })
  )

export const keyObjectOf = (x: string): KeyObject =>
  createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })

const parse = Effect.fnUntraced(function* (file: string, pem: string) {
  const key = yield* Effect.try({
    try: () => createPrivateKey(pem),
    catch: () => new KeyFileUnsafe({ file, problem: "it is not a private key in PEM" })
  })
  if (key.asymmetricKeyType !== "ed25519")
    return yield* new KeyFileUnsafe({ file, problem: "it is not an Ed25519 key" })
  const { x = "" } = createPublicKey(key).export({ format: "jwk" })
  return { ...(yield* publicKeyOf(x)), file, key } satisfies PrivateKey
})

const fileOf = (home: string, name: string): string => Path.join(Path.resolve(home), "service-keys", `${name}.pem`)

const attempt = <A>(file: string, work: () => A) =>
  Effect.try({ try: work, catch: (cause) => new KeyFileUnsafe({ file, problem: reasonOf(cause) }) })

const readText = (file: string): string | undefined => {
  const text = PrivateFile.read(file)
  // Who can write into the folder can replace the key.
  if (text !== undefined) PrivateFile.requireDirectory(Path.dirname(file), { closed: 0o022, mode: 0o700 })
  return text
}

const makeText = (home: string, file: string, text: string): string | undefined => {
  PrivateFile.ensureHome(Path.resolve(home))
  PrivateFile.ensureDirectory(Path.dirname(file))
  PrivateFile.makeOnce(file, text)
  return readText(file)
}

/** Reads a key in `home`; undefined where there is none. */
export const read = Effect.fnUntraced(function* (home: string, name: string) {
  const file = fileOf(home, name)
  const pem = yield* attempt(file, () => readText(file))
  return pem === undefined ? undefined : yield* parse(file, pem)
})

/** Reads a key in `home`, and makes it with the mode 0600 where it does not exist. */
export const readOrMake = Effect.fnUntraced(function* (home: string, name: string) {
  const found = yield* read(home, name)
  if (found !== undefined) return found
  const file = fileOf(home, name)
  const pem = generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()
  const made = yield* attempt(file, () => makeText(home, file, pem))
  return made === undefined ? yield* new KeyFileUnsafe({ file, problem: "it disappeared" }) : yield* parse(file, made)
})
